"""What one object costs in pure code: microseconds for each step of its way through a write.

Run: ``python bench/machinery.py``. The pod is of ordinary size: one container, two probes, a
service account volume; 2.4 kB of JSON.
"""

from __future__ import annotations

import json as standard
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

from trireme import api
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.catalog import Catalog
from trireme.api.coordination.v1.lease import Lease
from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import ContainerStatus, PodCondition
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.ownership import Ownership
from trireme.machinery import labels, quantity
from trireme.machinery.apply.manager import Writer
from trireme.machinery.codec import json, yaml
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.patch import json_patch, merge_patch, strategic
from trireme.machinery.schema import decode, normalise, tree

PROBE = {
    "httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"},
    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
}  # fmt: skip
TOLERATION = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-7c5ddbdf54-abcde",
        "generateName": "web-7c5ddbdf54-",
        "namespace": "default",
        "uid": "7b1f3a52-3f5c-4c2b-9b66-7a0a5d1e2f3c",
        "resourceVersion": "123456",
        "creationTimestamp": "2024-01-01T00:00:00Z",
        "labels": {"app": "web", "pod-template-hash": "7c5ddbdf54"},
        "annotations": {"example.com/checked": "true"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7c5ddbdf54",
                "uid": "e3b0c442-98fc-1c14-9afb-f4c8996fb924", "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "volumes": [
            {
                "name": "kube-api-access-abcde",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt",
                                       "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                            "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
                    ],
                    "defaultMode": 420,
                },
            }
        ],
        "containers": [
            {
                "name": "web",
                "image": "registry.example.com/web:1.25",
                "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                "env": [
                    {"name": "MODE", "value": "production"},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {
                        "apiVersion": "v1", "fieldPath": "status.podIP"}}},
                ],
                "resources": {"limits": {"cpu": "500m", "memory": "128Mi"},
                              "requests": {"cpu": "250m", "memory": "64Mi"}},
                "volumeMounts": [{"name": "kube-api-access-abcde", "readOnly": True,
                                  "mountPath": MOUNT}],
                "livenessProbe": PROBE,
                "readinessProbe": PROBE,
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {"runAsNonRoot": True},
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "nodeName": "node-1",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **TOLERATION},
            {"key": "node.kubernetes.io/unreachable", **TOLERATION},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    },
    "status": {"phase": "Pending"},
}  # fmt: skip


def main() -> None:
    compact = standard.dumps(POD, separators=(",", ":")).encode()
    spaced = standard.dumps(POD).encode()
    escaped = compact.replace(b'"production"', b'"\\u0070roduction"')
    lenient = compact.replace(b'"500m"', b"1")
    pod, _ = decode.decode(compact, Pod)
    node, text = tree.of(Pod), yaml.dump(POD)
    change = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    steps, _ = json_patch.parse(b'[{"op":"replace","path":"/spec/containers/0/image","value":"b"}]')
    selector, owned = labels.parse("app in (web,api),tier!=back"), POD["metadata"]["labels"]
    print(f"pod of {len(compact)} bytes, microseconds each")
    _report("decode, no duplicate check", lambda: decode.decode(compact, Pod, decode.IGNORE))
    _report("decode strictly, compact", lambda: decode.decode(compact, Pod, decode.STRICT))
    _report("decode strictly, spaced", lambda: decode.decode(spaced, Pod, decode.STRICT))
    _report("decode strictly, with escapes", lambda: decode.decode(escaped, Pod, decode.STRICT))
    _report("decode by the slow path", lambda: decode.decode(lenient, Pod, decode.STRICT))
    _report("normalise", lambda: normalise.normalise(pod))
    _report("encode", lambda: json.encode(pod))
    _report("strategic merge patch", lambda: strategic.apply(POD, change, node))
    _report("merge patch", lambda: merge_patch.apply(POD, change))
    _report("JSON patch", lambda: json_patch.apply(POD, steps))
    _report("YAML in", lambda: yaml.load(text))
    _report("YAML out", lambda: yaml.dump(pod))
    _report("label selector", lambda: selector.matches(owned))
    _report("quantity, seen before", lambda: quantity.canonical("128Mi"))
    print("managedFields, microseconds for each write")
    _ownership(pod)


def _ownership(pod: Pod) -> None:
    """What the owners of fields cost a write, beyond the write itself."""
    owners = Ownership(tuple)
    stamp = "2024-01-01T00:00:00Z"

    def created(name: str, obj: Any) -> Endpoint:
        endpoint = Endpoint(Catalog.of(api).by_type[type(obj)])
        _report(f"{name} create", lambda: owners.created(endpoint, obj, "kubectl", stamp))
        obj.metadata.managedFields = owners.created(endpoint, obj, "kubectl", stamp)
        return endpoint

    def updated(name: str, endpoint: Endpoint, old: Any, new: Any, part: str = "") -> None:
        new.metadata.managedFields = old.metadata.managedFields
        run = partial(owners.updated, endpoint, part, old, new, "kubelet", stamp)
        old.metadata.managedFields = run()
        new.metadata.managedFields = old.metadata.managedFields
        _report(name, run)

    maps = ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"a": "1", "b": "2"})
    created("ConfigMap", maps)
    endpoint = created("Pod", pod)
    copy = partial(endpoint.decode, json.encode(pod))
    running, later = copy(), copy()
    running.status.phase = later.status.phase = "Running"
    running.status.podIP = later.status.podIP = "10.0.0.1"
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    for one, state in ((running, "False"), (later, "True")):
        one.status.conditions = [PodCondition(type=kind, status=state) for kind in kinds]
        one.status.containerStatuses = [ContainerStatus(name="web", image="web:1", restartCount=0)]
    later.status.containerStatuses[0].ready = True
    updated("Pod status, first", endpoint, pod, running, "status")
    updated("Pod status, five conditions", endpoint, running, later, "status")
    lease = Lease(metadata=ObjectMeta(name="n", namespace="kube-node-lease"))
    lease.spec.holderIdentity, lease.spec.renewTime = "n", "2024-01-01T00:00:00.000000Z"
    endpoint = created("Lease", lease)
    renewed = endpoint.decode(json.encode(lease))
    renewed.spec.renewTime = "2024-01-01T00:00:10.000000Z"
    updated("Lease renewal", endpoint, lease, renewed)
    _apply(owners, stamp)


def _apply(owners: Ownership, stamp: str) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]}
    config = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, "replicas": 1},
    }
    endpoint = Endpoint(Catalog.of(api).by_type[Deployment])
    manager, writer = owners.manager(endpoint), Writer("me", stamp)
    made = manager.applied(manager.empty, [], config, writer, False)
    changed = {**config, "spec": {**config["spec"], "replicas": 2}}  # type: ignore[dict-item]
    live, entries = made.value, made.entries
    _report(
        "Deployment apply, new", lambda: manager.applied(manager.empty, [], config, writer, False)
    )
    _report(
        "Deployment apply, as before", lambda: manager.applied(live, entries, config, writer, False)
    )
    _report(
        "Deployment apply, a change", lambda: manager.applied(live, entries, changed, writer, False)
    )


def _report(name: str, action: Callable[[], object]) -> None:
    rounds = max(int(0.1 / max(min(timeit.repeat(action, number=3, repeat=3)) / 3, 1e-7)), 1)
    best = min(timeit.repeat(action, number=rounds, repeat=3)) / rounds
    print(f"  {name:32} {best * 1e6:9.2f}")


if __name__ == "__main__":
    main()
