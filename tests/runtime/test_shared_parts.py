"""Pods of one template share their parts in a cache, and stay what they are."""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.security import PodSecurityContext, SecurityContext
from trireme.runtime import shared_parts
from trireme.runtime.shared_parts import SharedParts


def pod(name: str, **changes: Any) -> bytes:
    container = {
        "name": "c",
        "image": "busybox",
        "env": [{"name": "A", "value": "b"}],
        "resources": {"requests": {"cpu": "1m"}},
        "volumeMounts": [{"name": f"token-{name}", "mountPath": "/var/run/secrets"}],
    }
    tolerations = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
    spec = {"containers": [container], "tolerations": tolerations, "nodeName": "node-0"} | changes
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2030-01-01T00:00:00Z"}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    return msgspec.json.encode(
        {"metadata": metadata, "spec": spec, "status": {"conditions": [condition]}}
    )


def read(data: bytes) -> Pod:
    return msgspec.json.decode(data, type=Pod)


def test_pods_of_one_template_share_what_is_equal() -> None:
    parts = SharedParts()
    one, other = read(pod("one")), read(pod("other"))
    for item in (one, other):
        parts.share(item, None)
    assert one.spec.tolerations is other.spec.tolerations
    assert one.spec.containers[0].env is other.spec.containers[0].env
    assert one.spec.containers[0].image is other.spec.containers[0].image
    assert one.metadata.labels is other.metadata.labels
    assert one.spec.containers[0].volumeMounts[0].name == "token-one"
    assert (one, other) == (read(pod("one")), read(pod("other")))


def test_a_pod_whose_status_changes_keeps_its_spec() -> None:
    parts = SharedParts()
    before, after = read(pod("one")), read(pod("one"))
    after.status.phase = "Running"
    parts.share(before, None)
    parts.share(after, before)
    assert after.spec is before.spec
    moved = read(pod("one", nodeName="node-1"))
    parts.share(moved, after)
    assert moved.spec.nodeName == "node-1"
    assert after.spec.nodeName == "node-0"


def test_a_pod_without_such_parts_is_left_as_it_is() -> None:
    parts = SharedParts()
    bare = read(pod("one", containers=[{"name": "c"}], tolerations=[]))
    parts.share(bare, None)
    assert bare == read(pod("one", containers=[{"name": "c"}], tolerations=[]))


def test_no_more_than_so_many_parts_are_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(shared_parts, "CAPACITY", 8)
    parts = SharedParts()
    for number in range(50):
        item = read(pod("one", tolerations=[{"key": f"k{number}"}]))
        parts.share(item, None)
        assert item.spec.tolerations[0].key == f"k{number}"
        assert len(parts) <= 8


def test_parts_of_different_types_are_not_the_same() -> None:
    """A pod's securityContext and a container's may say the same."""
    same = {"runAsUser": 1000}
    made = read(pod("a", securityContext=same, containers=[{"name": "c", "securityContext": same}]))
    SharedParts().share(made, None)
    assert type(made.spec.securityContext) is PodSecurityContext
    assert type(made.spec.containers[0].securityContext) is SecurityContext
