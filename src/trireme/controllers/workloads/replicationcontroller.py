"""ReplicationControllers, run by the code of ReplicaSets.

Upstream: pkg/controller/replication;
https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/.
"""

from __future__ import annotations

from trireme.api.core.v1.replicationcontroller import ReplicationController
from trireme.controllers.definition import Definition
from trireme.controllers.workloads.replicaset import SetKind
from trireme.machinery import labels

_KIND = SetKind(
    "replicationmanager",
    lambda workers: workers.replicationcontroller,
    ReplicationController,
    lambda found: labels.from_set(found.spec.selector),
)

CONTROLLER = Definition(
    "replicationcontroller-controller", _KIND.make, account="replication-controller"
)
