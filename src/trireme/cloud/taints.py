"""The keys of the taints that a cloud's controllers and the cluster autoscaler set. Pure."""

from __future__ import annotations

from typing import Final

UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
SHUTDOWN: Final = "node.cloudprovider.kubernetes.io/shutdown"
TO_BE_DELETED: Final = "ToBeDeletedByClusterAutoscaler"
DELETION_CANDIDATE: Final = "DeletionCandidateOfClusterAutoscaler"
