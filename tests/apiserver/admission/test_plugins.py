"""What admission makes of writes, plugin by plugin, against the real server."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import control_plane, virtual

NS = "/api/v1/namespaces/default"
PODS = f"{NS}/pods"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod(name: str = "p", annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "c", "image": "i"}]} | spec,
    }


def priority_class(name: str, value: int, **more: Any) -> dict[str, Any]:
    head = {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1"}
    return head | {"metadata": {"name": name}, "value": value} | more


def config_map(name: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}


@virtual.test()
async def test_nothing_is_made_where_no_namespace_is(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        status, answer = await ask("POST", "/api/v1/namespaces/x/configmaps", config_map("a"))
        assert (status, answer["message"]) == (404, 'namespaces "x" not found')


@virtual.test()
async def test_nothing_new_comes_into_a_namespace_that_goes(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "x"}}
        await ask.must("POST", "/api/v1/namespaces", namespace)
        await ask.must("POST", "/api/v1/namespaces/x/configmaps", config_map("old"))
        await ask.must("DELETE", "/api/v1/namespaces/x")
        status, answer = await ask("POST", "/api/v1/namespaces/x/configmaps", config_map("a"))
        assert status == 403
        assert answer["message"] == (
            'configmaps "a" is forbidden: unable to create new content in namespace x because it '
            "is being terminated"
        )
        assert answer["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace x is being terminated",
                "field": "metadata.namespace",
            }
        ]
        await ask.must("DELETE", "/api/v1/namespaces/x/configmaps/old")


@pytest.mark.parametrize(
    ("name", "status"),
    [("default", 403), ("kube-system", 403), ("kube-public", 403), ("kube-node-lease", 200)],
)
def test_some_namespaces_stay(asking: Any, name: str, status: int) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            got, answer = await ask("DELETE", f"/api/v1/namespaces/{name}")
            assert got == status
            if status == 403:
                assert answer["message"] == (
                    f'namespaces "{name}" is forbidden: this namespace may not be deleted'
                )

    virtual.run(story)


@virtual.test()
async def test_every_pod_gets_an_account_and_its_token(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        init = [{"name": "i", "image": "i"}]
        spec = (await ask.must("POST", PODS, pod(initContainers=init)))["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        volume = spec["volumes"][0]
        assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == 21
        assert volume["projected"] == {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": "metadata.namespace",
                                },
                            }
                        ]
                    }
                },
            ],
        }
        mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT}
        for container in (*spec["containers"], *spec["initContainers"]):
            assert container["volumeMounts"] == [mount]


@pytest.mark.parametrize(
    ("account", "of_pod", "mounted"),
    [
        (None, None, True),
        (False, None, False),
        (False, True, True),
        (True, False, False),
        (None, False, False),
    ],
)
def test_the_pod_decides_over_its_account(
    asking: Any, account: bool | None, of_pod: bool | None, mounted: bool
) -> None:
    async def story(env: Env) -> None:
        async with asking(env, default_accounts=()) as ask:
            expected: dict[str, Any] = {
                "kind": "ServiceAccount",
                "apiVersion": "v1",
                "metadata": {"name": "default"},
                "imagePullSecrets": [{"name": "pull"}],
            }
            if account is not None:
                expected["automountServiceAccountToken"] = account
            await ask.must("POST", f"{NS}/serviceaccounts", expected)
            more: dict[str, Any] = (
                {} if of_pod is None else {"automountServiceAccountToken": of_pod}
            )
            spec = (await ask.must("POST", PODS, pod(**more)))["spec"]
            assert bool(spec.get("volumes")) is mounted
            assert spec["imagePullSecrets"] == [{"name": "pull"}]

    virtual.run(story)


@virtual.test()
async def test_what_a_pod_mounts_itself_stays(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        mounts = [{"name": "own", "mountPath": MOUNT}]
        containers = [{"name": "c", "image": "i", "volumeMounts": mounts}]
        volumes = [{"name": "own", "emptyDir": {}}]
        spec = (await ask.must("POST", PODS, pod(containers=containers, volumes=volumes)))["spec"]
        assert [volume["name"] for volume in spec["volumes"]] == ["own"]


@virtual.test()
async def test_a_missing_account(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        status, answer = await ask("POST", PODS, pod(serviceAccountName="nope"))
        assert status == 403
        assert answer["message"] == (
            'pods "p" is forbidden: error looking up service account default/nope: '
            'serviceaccount "nope" not found'
        )
        generated = pod(serviceAccountName="nope") | {"metadata": {"generateName": "web-"}}
        _, answer = await ask("POST", PODS, generated)
        assert answer["message"].startswith('pods "web-" is forbidden')


@virtual.test()
async def test_the_default_account_of_a_new_namespace_is_waited_for(env: Env, asking: Any) -> None:
    import asyncio

    async with asking(env, default_accounts=()) as ask, asyncio.TaskGroup() as group:
        creating = group.create_task(ask("POST", PODS, pod()))
        await env.clock.sleep(0.5)
        assert not creating.done()
        await control_plane.account(ask.server, "default", "default")
        assert (await creating)[0] == 201
        await ask.must("DELETE", f"{NS}/serviceaccounts/default")
        began = env.clock.now()
        assert (await ask("POST", PODS, pod("q")))[0] == 403
        assert 1 <= env.clock.now() - began <= 2


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"volumes": [{"name": "v", "secret": {"secretName": "x"}}]}, "does not reference that"),
        ({"imagePullSecrets": [{"name": "x"}]}, 'imagePullSecrets[0].name="x" is not allowed'),
        (
            {
                "containers": [
                    {"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "x"}}]}
                ]
            },
            "container c with envFrom referencing",
        ),
        ({"volumes": [{"name": "v", "secret": {"secretName": "mine"}}]}, ""),
    ],
)
def test_an_account_may_limit_secrets(asking: Any, spec: dict[str, Any], text: str) -> None:
    async def story(env: Env) -> None:
        async with asking(env, default_accounts=()) as ask:
            expected = {
                "kind": "ServiceAccount",
                "apiVersion": "v1",
                "metadata": {
                    "name": "default",
                    "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"},
                },
                "secrets": [{"name": "mine"}],
            }
            await ask.must("POST", f"{NS}/serviceaccounts", expected)
            status, answer = await ask("POST", PODS, pod(**spec))
            assert status == (403 if text else 201), answer
            assert not text or text in answer["message"]

    virtual.run(story)


@virtual.test()
async def test_priorities(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        spec = (await ask.must("POST", PODS, pod("none")))["spec"]
        assert spec["priority"] == 0 and spec["preemptionPolicy"] == "PreemptLowerPriority"
        await ask.must("POST", CLASSES, priority_class("high", 1000, preemptionPolicy="Never"))
        spec = (await ask.must("POST", PODS, pod("high", priorityClassName="high")))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
        for wrong, text in (
            ({"priorityClassName": "nope"}, "no PriorityClass with name nope was found"),
            ({"priorityClassName": "high", "priority": 5}, "integer value of priority (5)"),
            (
                {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"},
                "string value of PreemptionPolicy",
            ),
        ):
            status, answer = await ask("POST", PODS, pod("x", **wrong))
            assert status == 403 and text in answer["message"], answer
        await ask.must("POST", CLASSES, priority_class("usual", 7, globalDefault=True))
        spec = (await ask.must("POST", PODS, pod("usual")))["spec"]
        assert (spec["priority"], spec["priorityClassName"]) == (7, "usual")
        status, answer = await ask("POST", CLASSES, priority_class("x", 8, globalDefault=True))
        assert status == 403
        assert "PriorityClass usual is already marked as default" in answer["message"]


@virtual.test()
async def test_an_update_may_leave_the_priority_out(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        made = await ask.must("POST", PODS, pod())
        del made["spec"]["priority"], made["spec"]["preemptionPolicy"]
        made["metadata"]["labels"] = {"a": "b"}
        spec = (await ask.must("PUT", f"{PODS}/p", made))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], ["not-ready", "unreachable"]),
        ([{"operator": "Exists"}], []),
        ([{"operator": "Exists", "effect": "NoSchedule"}], ["not-ready", "unreachable"]),
        ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}], ["unreachable"]),
    ],
)
def test_tolerations(asking: Any, given: list[dict[str, str]], added: list[str]) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            spec = (await ask.must("POST", PODS, pod(tolerations=given)))["spec"]
            assert spec["tolerations"][len(given) :] == [
                {
                    "key": f"node.kubernetes.io/{name}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for name in added
            ]

    virtual.run(story)


@virtual.test()
async def test_a_new_node_takes_no_pods_yet(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}}
        taints = (await ask.must("POST", "/api/v1/nodes", node))["spec"]["taints"]
        assert taints == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


@virtual.test()
async def test_a_bound_pod_carries_its_nodes_zone(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        zone = {"topology.kubernetes.io/zone": "a"}
        labels = {"labels": zone | {"x": "y"}}
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"} | labels}
        await ask.must("POST", "/api/v1/nodes", node)
        await ask.must("POST", PODS, pod())
        target = {"kind": "Node", "name": "n"}
        bound = {"kind": "Binding", "apiVersion": "v1", "target": target}
        await ask.must("POST", f"{PODS}/p/binding", bound)
        assert (await ask.must("GET", f"{PODS}/p"))["metadata"]["labels"] == zone
