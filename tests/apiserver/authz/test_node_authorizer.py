"""What a kubelet may do, request by request, with one pod on its node and one on another."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import virtual

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "here", "namespace": "default"},
    "spec": {
        "nodeName": "n1",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "c",
                "image": "i",
                "envFrom": [{"secretRef": {"name": "env"}}],
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}},
                    }
                ],
            }
        ],
        "volumes": [
            {"name": "s", "secret": {"secretName": "volume"}},
            {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
        ],
    },
}
NS = "/api/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
RELATED = ": no relationship found between node 'n1' and this object"


def pod(name: str, node: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i"}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": containers} | spec,
    }


ELSEWHERE = pod("there", "n2", volumes=[{"name": "s", "secret": {"secretName": "theirs"}}])


# 404 and 422 mean that the request was authorized: there is no such object, or the body is empty.
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{NS}/secrets/pull", True),
        ("GET", f"{NS}/secrets/env", True),
        ("GET", f"{NS}/secrets/volume", True),
        ("GET", f"{NS}/secrets/projected", True),
        ("GET", f"{NS}/secrets/theirs", False),
        ("GET", f"{NS}/secrets/unknown", False),
        ("GET", f"{NS}/secrets", False),
        ("GET", f"{NS}/secrets?fieldSelector=metadata.name%3Dvolume", True),
        ("DELETE", f"{NS}/secrets/volume", False),
        ("GET", f"{NS}/configmaps/settings", True),
        ("GET", f"{NS}/configmaps/kube-root-ca.crt", True),
        ("GET", f"{NS}/configmaps/other", False),
        ("GET", f"{NS}/serviceaccounts/default", True),
        ("GET", f"{NS}/serviceaccounts/other", False),
        ("GET", f"{NS}/pods/here", True),
        ("GET", f"{NS}/pods/there", False),
        ("GET", "/api/v1/pods", False),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", True),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", False),
        ("PATCH", f"{NS}/pods/here", False),
        ("GET", "/api/v1/nodes/n1", True),
        ("GET", "/api/v1/nodes/n2", False),
        ("GET", "/api/v1/nodes", False),
        ("DELETE", "/api/v1/nodes/n1", False),
        ("GET", "/api/v1/services", True),
        ("GET", "/api/v1/namespaces", False),
        ("GET", f"{LEASES}/kube-node-lease/leases/n1", True),
        ("GET", f"{LEASES}/kube-node-lease/leases/n2", False),
        ("GET", f"{LEASES}/kube-system/leases/n1", False),
        ("GET", "/apis", True),
        ("GET", "/metrics", False),
    ],
)
def test_reads(asking: Any, method: str, path: str, allowed: bool) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            await ask.must("POST", f"{NS}/pods", POD)
            await ask.must("POST", f"{NS}/pods", ELSEWHERE)
            status, answer = await ask.as_node("n1")(method, path)
            assert (status != 403) is allowed, answer

    virtual.run(story)


@virtual.test()
async def test_rights_come_and_go_with_the_pod(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        node = ask.as_node("n1")
        secret = f"{NS}/secrets/volume"
        status, answer = await node("GET", secret)
        assert status == 403 and answer["message"].endswith(RELATED)
        await ask.must("POST", f"{NS}/pods", POD)
        assert (await node("GET", secret))[0] == 404
        await ask.must("POST", f"{NS}/pods", POD | {"metadata": {"name": "again"}})
        await ask.must("DELETE", f"{NS}/pods/here?gracePeriodSeconds=0")
        assert (await node("GET", secret))[0] == 404
        await ask.must("DELETE", f"{NS}/pods/again?gracePeriodSeconds=0")
        assert (await node("GET", secret))[0] == 403


@virtual.test()
async def test_binding_a_pod_gives_the_node_its_rights(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        node = ask.as_node("n1")
        waiting = POD | {"spec": {k: v for k, v in POD["spec"].items() if k != "nodeName"}}
        await ask.must("POST", f"{NS}/pods", waiting)
        assert (await node("GET", f"{NS}/secrets/volume"))[0] == 403
        target = {"kind": "Node", "name": "n1"}
        bound = {"kind": "Binding", "apiVersion": "v1", "target": target}
        await ask.must("POST", f"{NS}/pods/here/binding", bound)
        assert (await node("GET", f"{NS}/secrets/volume"))[0] == 404


@virtual.test()
async def test_more_writes_than_are_kept_between_questions(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        node = ask.as_node("n1")
        assert (await node("GET", f"{NS}/secrets/volume"))[0] == 403
        await ask.must("POST", f"{NS}/pods", POD)
        key = ask.server.context.served.endpoints["", "v1", "pods"].key("default", "here")
        item = ask.server.context.store.get(key)
        value = ask.server.context.served.endpoints["", "v1", "pods"].encode(
            ask.server.context.served.endpoints["", "v1", "pods"].load(item)
        )
        for _ in range(10_050):
            await ask.server.context.store.update(key, value)
        assert (await node("GET", f"{NS}/secrets/volume"))[0] == 404


@virtual.test()
async def test_mirror_pods_give_no_rights(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        mirror = pod("m", "n1", volumes=[{"name": "c", "configMap": {"name": "wanted"}}])
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        await ask.must("POST", f"{NS}/pods", mirror)
        assert (await ask.as_node("n1")("GET", f"{NS}/configmaps/wanted"))[0] == 403


@virtual.test()
async def test_the_name_alone_makes_no_node(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{NS}/pods", POD)
        fake = ask.as_user("system:node:n1")
        assert (await fake("GET", f"{NS}/secrets/volume"))[0] == 403


@virtual.test()
async def test_what_is_behind_the_claims_of_the_nodes_pods(env: Env, asking: Any) -> None:
    volumes, attachments = "/api/v1/persistentvolumes", "/apis/storage.k8s.io/v1/volumeattachments"
    async with asking(env) as ask:
        secret = {"namespace": "default", "name": "stage"}
        source = {"driver": "d.example.com", "volumeHandle": "h", "nodeStageSecretRef": secret}
        volume = {
            "kind": "PersistentVolume",
            "apiVersion": "v1",
            "metadata": {"name": "pv"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "csi": source,
                "claimRef": {"namespace": "default", "name": "data"},
            },
        }
        claimed = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        await ask.must("POST", f"{NS}/pods", pod("user", "n1", volumes=[claimed]))
        n1, n2 = ask.as_node("n1"), ask.as_node("n2")
        assert (await n1("GET", f"{volumes}/pv"))[0] == 403
        await ask.must("POST", volumes, volume)
        for path in (f"{volumes}/pv", f"{NS}/secrets/stage"):
            assert (await n1("GET", path))[0] in (200, 404)
            assert (await n2("GET", path))[0] == 403
        attachment = {
            "kind": "VolumeAttachment",
            "apiVersion": "storage.k8s.io/v1",
            "metadata": {"name": "a"},
            "spec": {
                "attacher": "d.example.com",
                "nodeName": "n1",
                "source": {"persistentVolumeName": "pv"},
            },
        }
        await ask.must("POST", attachments, attachment)
        assert (await n1("GET", f"{attachments}/a"))[0] == 200
        assert (await n2("GET", f"{attachments}/a"))[0] == 403
        await ask.must("DELETE", f"{NS}/pods/user?gracePeriodSeconds=0")
        assert (await n1("GET", f"{volumes}/pv"))[0] == 403


@virtual.test()
async def test_devices_and_certificate_requests_of_its_own(env: Env, asking: Any) -> None:
    slices = "/apis/resource.k8s.io/v1/resourceslices"
    requests = "/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests"
    settings: dict[str, Any] = {
        "feature_gates": {"PodCertificateRequest": True},
        "runtime_config": {"certificates.k8s.io/v1beta1/podcertificaterequests": True},
    }

    def devices(node: str) -> dict[str, Any]:
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": "d.example.com", "nodeName": node, "pool": pool, "devices": []}
        return {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": node},
            "spec": spec,
        }

    async with asking(env, **settings) as ask:
        for node in ("n1", "n2"):
            await ask.must("POST", slices, devices(node))
        n1 = ask.as_node("n1")
        assert (await n1("GET", f"{slices}/n1"))[0] == 200
        assert (await n1("DELETE", f"{slices}/n1"))[0] == 200
        assert (await n1("GET", f"{slices}/n1"))[0] == 403
        for verb in ("GET", "PUT", "DELETE"):
            assert (await n1(verb, f"{slices}/n2", devices("n2")))[0] == 403
        own = "fieldSelector=spec.nodeName%3Dn1"
        assert (await n1("GET", f"{requests}?{own}"))[0] == 200
        assert (await n1("GET", requests))[0] == 403
        assert (await n1("GET", f"{requests}/a"))[0] == 403
        assert (await n1("DELETE", f"{requests}/a"))[0] == 403
    async with asking(env) as ask:
        assert (await ask.as_node("n1")("GET", f"{requests}?{own}"))[0] == 403
