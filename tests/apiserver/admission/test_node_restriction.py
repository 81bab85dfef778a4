"""What a kubelet's writes may hold."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.apiserver.admission.plugins.node_restriction import forbidden_labels
from trireme.kit.env import Env
from trireme.testing import virtual

NS = "/api/v1/namespaces/default"
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def node(name: str = "n1", labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "labels": labels or {}}}


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    whole = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]} | spec
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": whole}


def mirror(uid: str, **spec: Any) -> dict[str, Any]:
    found = pod("m", **spec)
    found["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    found["metadata"]["ownerReferences"] = [owner]
    return found


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("color", True),
        ("example.org/color", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("sub.kubelet.kubernetes.io/x", True),
        ("beta.kubernetes.io/arch", True),
        ("node-role.kubernetes.io/control-plane", False),
        ("node-restriction.kubernetes.io/x", False),
        ("a.node-restriction.kubernetes.io/x", False),
        ("k8s.io/x", False),
        ("a.k8s.io/x", False),
    ],
)
def test_labels(label: str, allowed: bool) -> None:
    assert forbidden_labels({label: "1"}, {}) == ([] if allowed else [label])
    assert forbidden_labels({}, {label: "1"}) == ([] if allowed else [label])
    assert forbidden_labels({label: "1"}, {label: "1"}) == []


@virtual.test()
async def test_a_node_writes_itself_and_no_other(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        kubelet = ask.as_node("n1")
        assert (await kubelet("POST", NODES, node("n2")))[0] == 403
        role = {"node-role.kubernetes.io/control-plane": ""}
        status, answer = await kubelet("POST", NODES, node(labels=role))
        assert status == 403
        assert "not allowed to set the following labels: node-role" in answer["message"]
        made = await kubelet.must("POST", NODES, node(labels={"kubernetes.io/os": "linux"}))
        made["status"]["capacity"] = {"cpu": "4"}
        made = await kubelet.must("PUT", f"{NODES}/n1/status", made)
        for change, text in (
            ({"spec": made["spec"] | {"taints": []}}, "not allowed to modify taints"),
            (
                {"metadata": made["metadata"] | {"labels": role}},
                "is not allowed to modify labels: node-role",
            ),
        ):
            status, answer = await kubelet("PUT", f"{NODES}/n1", made | change)
            assert status == 403 and text in answer["message"], answer
        made["spec"]["unschedulable"] = True
        await kubelet.must("PUT", f"{NODES}/n1", made)


@virtual.test()
async def test_a_nodes_lease_has_its_name(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        kubelet = ask.as_node("n1")
        for name, status in (("n2", 403), ("n1", 201)):
            lease = {
                "kind": "Lease",
                "apiVersion": "coordination.k8s.io/v1",
                "metadata": {"name": name},
            }
            assert (await kubelet("POST", LEASES, lease))[0] == status


@virtual.test()
async def test_the_status_of_its_own_pods(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        made = await ask.must("POST", f"{NS}/pods", pod())
        made["status"]["phase"] = "Running"
        path = f"{NS}/pods/p/status"
        status, answer = await ask.as_node("n2")("PUT", path, made)
        assert status == 403 and "with spec.nodeName set to itself" in answer["message"]
        made = await ask.as_node("n1").must("PUT", path, made)
        made["metadata"]["labels"] = {"a": "b"}
        status, answer = await ask.as_node("n1")("PUT", path, made)
        assert status == 403 and "cannot update labels through pod status" in answer["message"]
        assert (await ask.as_node("n2")("DELETE", f"{NS}/pods/p"))[0] == 403
        await ask.as_node("n1").must("DELETE", f"{NS}/pods/p?gracePeriodSeconds=0")


@virtual.test()
async def test_mirror_pods_only(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        kubelet = ask.as_node("n1")
        uid = (await kubelet.must("POST", NODES, node()))["metadata"]["uid"]
        status, answer = await kubelet("POST", f"{NS}/pods", pod())
        assert status == 403 and "can only create mirror pods" in answer["message"]
        for wrong, text in (
            (mirror(uid, nodeName="n2"), "with spec.nodeName set to itself"),
            (mirror("other"), "UID mismatch"),
            (mirror(uid, serviceAccountName="default"), "reference"),
            (
                mirror(uid, volumes=[{"name": "v", "configMap": {"name": "x"}}]),
                "can not create pods that reference configmaps",
            ),
            (
                mirror(uid, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]),
                "can not create pods that reference persistentvolumeclaims",
            ),
        ):
            status, answer = await kubelet("POST", f"{NS}/pods", wrong)
            assert status == 403 and text in answer["message"], answer
        volumes = [{"name": "v", "hostPath": {"path": "/x"}}, {"name": "w", "emptyDir": {}}]
        made = await kubelet.must("POST", f"{NS}/pods", mirror(uid, volumes=volumes))
        assert "serviceAccountName" not in made["spec"]


@virtual.test()
async def test_tokens_for_the_pods_on_it(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        vault = {"serviceAccountToken": {"audience": "vault", "path": "v"}}
        volumes = [{"name": "v", "projected": {"sources": [vault]}}]
        uid = (await ask.must("POST", f"{NS}/pods", pod(volumes=volumes)))["metadata"]["uid"]

        async def expected(name: str, bound: bool = True, **spec: Any) -> tuple[int, str]:
            ref = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid}
            body = {
                "kind": "TokenRequest",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": ({"boundObjectRef": ref} if bound else {}) | spec,
            }
            path = f"{NS}/serviceaccounts/default/token"
            status, answer = await ask.as_node(name)("POST", path, body)
            return status, answer.get("message", "")

        assert (await expected("n1"))[0] == 201
        assert (await expected("n1", audiences=["vault"]))[0] == 201
        assert (await expected("n2"))[0] == 403
        assert "not bound to a pod" in (await expected("n1", bound=False))[1]
        assert 'audience "other" not found' in (await expected("n1", audiences=["other"]))[1]
        assert "0 or 1 audiences" in (await expected("n1", audiences=["vault", "x"]))[1]
