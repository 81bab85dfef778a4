"""The Available condition of APIServices: what upstream says of each, up to asking the server."""

from __future__ import annotations

from typing import Any

from tests.apiserver.aggregate.test_apiservices import ALL, asked, manifest

from trireme.kit.env import Env
from trireme.testing import virtual

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = {"content-type": "application/merge-patch+json"}
NAME = f"{ALL}/v1.metrics.example.com"
SPEC = {
    "groupPriorityMinimum": 100,
    "versionPriority": 10,
    "insecureSkipTLSVerify": True,
    "service": {"namespace": "default", "name": "metrics"},
}
LOCAL = ("Available", "True", "Local", "Local APIServices are always available")


def service(**port: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics"},
        "spec": {"ports": [port]},
    }


def slices(ready: bool | None, port: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "metrics-1", "labels": {"kubernetes.io/service-name": "metrics"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.99.0.1"], "conditions": {"ready": ready}}],
        "ports": [{"name": port, "port": 443}],
    }


@virtual.test()
async def test_of_another_server(env: Env) -> None:
    async with asked(env, post_start_hooks=True) as ask:

        async def condition() -> tuple[str, str, str, str]:
            await env.clock.sleep(1)
            [found] = (await ask.must("GET", NAME))["status"]["conditions"]
            assert found["lastTransitionTime"]
            return found["type"], found["status"], found["reason"], found["message"]

        await ask.must("POST", ALL, manifest("metrics.example.com", **SPEC))
        what = 'service/metrics in "default"'
        no = "Available", "False"
        assert await condition() == (*no, "ServiceNotFound", f"{what} is not present")

        await ask.must("POST", SERVICES, service(name="x", port=80))
        expected = (*no, "ServicePortError", f"{what} is not listening on port 443")
        assert await condition() == expected

        port = {"spec": {"ports": [{"name": "y", "port": 443}]}}
        await ask.must("PATCH", f"{SERVICES}/metrics", port, headers=MERGE)
        expected = (*no, "EndpointsNotFound", f"cannot find endpointslices for {what}")
        assert await condition() == expected

        detail = f'endpointslices for {what} have no addresses with port name "y"'
        for ready, name in ((False, "y"), (True, "z")):
            await ask.must("POST", SLICES, slices(ready, name))
            assert await condition() == (*no, "MissingEndpoints", detail)
            await ask.must("DELETE", f"{SLICES}/metrics-1")

        await ask.must("POST", SLICES, slices(None, "y"))
        passed_on = "requests are not passed on to service default/metrics"
        assert await condition() == (*no, "FailedDiscoveryCheck", passed_on)
        assert passed_on in (await ask("GET", "/apis/metrics.example.com/v1"))[1]["message"]

        # It becomes this server's own.
        own = {"spec": {"service": None, "insecureSkipTLSVerify": False}}
        await ask.must("PATCH", NAME, own, headers=MERGE)
        assert await condition() == LOCAL


@virtual.test()
async def test_what_is_written_over_it_does_not_stay(env: Env) -> None:
    async with asked(env, post_start_hooks=True) as ask:
        spec = {"groupPriorityMinimum": 100, "versionPriority": 10}
        await ask.must("POST", ALL, manifest("metrics.example.com", **spec))
        other = {"type": "Other", "status": "True"}
        for written in (None, [], [{"type": "Available", "status": "False"}, other]):
            status = {"status": {"conditions": written}}
            await ask.must("PATCH", f"{NAME}/status", status, headers=MERGE)
            await env.clock.sleep(1)
            found = await ask.must("GET", NAME)
            first, *others = found["status"]["conditions"]
            assert (first["type"], first["status"], first["reason"], first["message"]) == LOCAL
            assert [item["type"] for item in others] == [item["type"] for item in (written or [])][
                1:
            ]
            assert first["lastTransitionTime"]
        owners = {
            (item["manager"], item.get("subresource"))
            for item in found["metadata"]["managedFields"]
        }
        assert ("kube-apiserver", "status") in owners
        revision = ask.server.context.store.revision
        await env.clock.sleep(5)
        assert ask.server.context.store.revision == revision
