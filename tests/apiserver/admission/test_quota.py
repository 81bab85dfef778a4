"""ResourceQuota: what a namespace may hold, at the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import virtual

NS = "/api/v1/namespaces/default"


def quota(name: str, hard: dict[str, str], **spec: Any) -> dict[str, Any]:
    head = {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": {"name": name}}
    return head | {"spec": {"hard": hard} | spec}


def config_map(name: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i"} | spec.pop("container", {})
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"containers": [container], "automountServiceAccountToken": False} | spec,
    }


async def install(ask: Any, name: str, hard: dict[str, str], **spec: Any) -> None:
    """A quota that the controller has counted already: nothing is used."""
    made = await ask.must("POST", f"{NS}/resourcequotas", quota(name, hard, **spec))
    made["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    await ask.must("PUT", f"{NS}/resourcequotas/{name}/status", made)


async def used(ask: Any, name: str) -> dict[str, str]:
    answer: dict[str, str] = (await ask.must("GET", f"{NS}/resourcequotas/{name}"))["status"][
        "used"
    ]
    return answer


@virtual.test()
async def test_what_is_beyond_the_quota_is_refused(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"configmaps": "2", "count/configmaps": "9"})
        for name in ("a", "b"):
            await ask.must("POST", f"{NS}/configmaps", config_map(name))
        assert await used(ask, "q") == {"configmaps": "2", "count/configmaps": "2"}
        status, answer = await ask("POST", f"{NS}/configmaps", config_map("c"))
        assert (status, answer["message"]) == (
            403,
            'configmaps "c" is forbidden: exceeded quota: q, requested: configmaps=1, '
            "used: configmaps=2, limited: configmaps=2",
        )
        assert await used(ask, "q") == {"configmaps": "2", "count/configmaps": "2"}
        await ask.must("PATCH", f"{NS}/configmaps/a", {"data": {"x": "y"}},
                       {"content-type": "application/merge-patch+json"})  # fmt: skip


@virtual.test()
async def test_a_quota_that_is_not_counted_yet_refuses(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", f"{NS}/resourcequotas", quota("q", {"secrets": "1"}))
        # What is limited is what the status says: nothing yet.
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
        await ask.must("POST", f"{NS}/secrets", secret)
        made = await ask.must("GET", f"{NS}/resourcequotas/q")
        made["status"] = {"hard": {"secrets": "1", "configmaps": "1"}, "used": {"secrets": "1"}}
        await ask.must("PUT", f"{NS}/resourcequotas/q/status", made)
        status, answer = await ask("POST", f"{NS}/configmaps", config_map("a"))
        assert (status, answer["message"]) == (
            403,
            'configmaps "a" is forbidden: status unknown for quota: q, resources: configmaps',
        )


@virtual.test()
async def test_a_dry_run_is_checked_and_not_charged(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"configmaps": "1"})
        await ask.must("POST", f"{NS}/configmaps?dryRun=All", config_map("a"))
        assert await used(ask, "q") == {"configmaps": "0"}
        await ask.must("POST", f"{NS}/configmaps", config_map("a"))
        status, _ = await ask("POST", f"{NS}/configmaps?dryRun=All", config_map("b"))
        assert status == 403


@virtual.test()
async def test_many_at_once_never_take_more_than_there_is(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"configmaps": "7"})
        await install(ask, "r", {"count/configmaps": "8"})
        answers = await asyncio.gather(
            *(ask("POST", f"{NS}/configmaps", config_map(f"m-{i}")) for i in range(20))
        )
        assert sorted(status for status, _ in answers) == [201] * 7 + [403] * 13
        assert await used(ask, "q") == {"configmaps": "7"}
        assert await used(ask, "r") == {"count/configmaps": "7"}


@virtual.test()
async def test_writes_of_the_quota_in_between_do_not_matter(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"configmaps": "50"})
        merge = {"content-type": "application/merge-patch+json"}

        async def label(number: int) -> None:
            body = {"metadata": {"labels": {"n": str(number)}}}
            await ask.must("PATCH", f"{NS}/resourcequotas/q", body, merge)

        await asyncio.gather(
            *(ask.must("POST", f"{NS}/configmaps", config_map(f"m-{i}")) for i in range(10)),
            *(label(number) for number in range(3)),
        )
        assert await used(ask, "q") == {"configmaps": "10"}


@virtual.test()
async def test_pods_have_to_say_what_is_limited(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"requests.cpu": "1", "limits.memory": "1Gi", "pods": "3"})
        status, answer = await ask("POST", f"{NS}/pods", pod("p"))
        assert (status, answer["message"]) == (
            403,
            'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; '
            "requests.cpu for: c",
        )
        limits = {"cpu": "700m", "memory": "300Mi"}
        await ask.must("POST", f"{NS}/pods", pod("p", container={"resources": {"limits": limits}}))
        assert await used(ask, "q") == {
            "requests.cpu": "700m", "limits.memory": "300Mi", "pods": "1",
        }  # fmt: skip
        status, answer = await ask(
            "POST", f"{NS}/pods", pod("o", container={"resources": {"limits": limits}})
        )
        assert answer["message"] == (
            'pods "o" is forbidden: exceeded quota: q, requested: requests.cpu=700m, '
            "used: requests.cpu=700m, limited: requests.cpu=1"
        )


@virtual.test()
async def test_a_service_that_changes_its_type_is_charged(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await install(ask, "q", {"services": "5", "services.nodeports": "1"})
        service = {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {"name": "s"},
            "spec": {"ports": [{"port": 80}, {"name": "b", "port": 81}]},
        }
        service["spec"]["ports"][0]["name"] = "a"  # type: ignore[index]
        await ask.must("POST", f"{NS}/services", service)
        assert await used(ask, "q") == {"services": "1", "services.nodeports": "0"}
        merge = {"content-type": "application/merge-patch+json"}
        status, answer = await ask(
            "PATCH", f"{NS}/services/s", {"spec": {"type": "NodePort"}}, merge
        )
        assert (status, answer["message"]) == (
            403,
            'services "s" is forbidden: exceeded quota: q, requested: services.nodeports=2, '
            "used: services.nodeports=0, limited: services.nodeports=1",
        )


@pytest.mark.parametrize(
    ("spec", "charged"),
    [
        ({"scopes": ["BestEffort"]}, {"a"}),
        ({"scopes": ["NotBestEffort"]}, {"b", "c"}),
        ({"scopes": ["Terminating"]}, {"c"}),
        ({"scopes": ["NotTerminating"]}, {"a", "b"}),
        ({"scopes": ["NotTerminating", "BestEffort"]}, {"a"}),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
                    ]
                }
            },
            {"b"},
        ),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]
                }
            },
            {"a", "c"},
        ),
        ({"scopes": ["CrossNamespacePodAffinity"]}, {"a"}),
    ],
)
def test_scopes(asking: Any, spec: dict[str, Any], charged: set[str]) -> None:
    resources = {"requests": {"cpu": "1"}}
    term = {"topologyKey": "z", "namespaceSelector": {}, "labelSelector": {}}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    made = {
        "a": pod("a", affinity=affinity),
        "b": pod("b", container={"resources": resources}, priorityClassName="high"),
        "c": pod("c", container={"resources": resources}, activeDeadlineSeconds=60),
    }

    async def story(env: Env) -> None:
        async with asking(env) as ask:
            high = {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "value": 5}
            high["metadata"] = {"name": "high"}
            await ask.must("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", high)
            await install(ask, "q", {"pods": "1000"}, **spec)
            for name, body in made.items():
                before = await used(ask, "q")
                await ask.must("POST", f"{NS}/pods", body)
                assert (await used(ask, "q") != before) == (name in charged), name

    virtual.run(story)
