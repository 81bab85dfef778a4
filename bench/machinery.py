"""What one object costs in pure code: microseconds for each step of its way through a write.

Run: ``python bench/machinery.py``. The pod is of ordinary size: one container, two probes, a
service account volume; 2.4 kB of JSON.
"""

from __future__ import annotations

import json as standard
import timeit
from collections.abc import Callable

from trireme.api.core.v1.pod.pod import Pod
from trireme.machinery import labels, quantity
from trireme.machinery.codec import json, yaml
from trireme.machinery.patch import json_patch, merge_patch, strategic
from trireme.machinery.schema import decode, normalise, tree

PROBE = {
    "httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"},
    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
}  # fmt: skip
TOLERATION = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD = {
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
    _show("decode, no duplicate check", lambda: decode.decode(compact, Pod, decode.IGNORE))
    _show("decode strictly, compact", lambda: decode.decode(compact, Pod, decode.STRICT))
    _show("decode strictly, spaced", lambda: decode.decode(spaced, Pod, decode.STRICT))
    _show("decode strictly, with escapes", lambda: decode.decode(escaped, Pod, decode.STRICT))
    _show("decode by the slow path", lambda: decode.decode(lenient, Pod, decode.STRICT))
    _show("normalise", lambda: normalise.normalise(pod))
    _show("encode", lambda: json.encode(pod))
    _show("strategic merge patch", lambda: strategic.apply(POD, change, node))
    _show("merge patch", lambda: merge_patch.apply(POD, change))
    _show("JSON patch", lambda: json_patch.apply(POD, steps))
    _show("YAML in", lambda: yaml.load(text))
    _show("YAML out", lambda: yaml.dump(pod))
    _show("label selector", lambda: selector.matches(owned))
    _show("quantity, seen before", lambda: quantity.canonical("128Mi"))


def _show(name: str, action: Callable[[], object]) -> None:
    rounds = max(int(0.1 / max(min(timeit.repeat(action, number=3, repeat=3)) / 3, 1e-7)), 1)
    best = min(timeit.repeat(action, number=rounds, repeat=3)) / rounds
    print(f"  {name:32} {best * 1e6:9.2f}")


if __name__ == "__main__":
    main()
