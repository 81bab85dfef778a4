"""The Available condition of APIServices: what upstream says of each, up to what a server says."""

from __future__ import annotations

from tests.apiserver.aggregate import backends
from tests.apiserver.aggregate.backends import ALL, GROUP, Answer, Backend
from tests.apiserver.aggregate.test_apiservices import asked, manifest

from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.kit.env import Env
from trireme.testing import virtual

LOCAL = ("Available", "True", "Local", "Local APIServices are always available")


NAME = f"{ALL}/{backends.NAME}"


@virtual.test()
async def test_of_another_server(env: Env) -> None:
    backend = Backend(down=True)
    aggregator = AggregatorSettings(transport=backend)
    async with asked(env, post_start_hooks=True, aggregator=aggregator) as ask:

        async def condition() -> tuple[str, str, str, str]:
            await env.clock.sleep(1)
            [found] = (await ask.must("GET", NAME))["status"]["conditions"]
            assert found["lastTransitionTime"]
            return found["type"], found["status"], found["reason"], found["message"]

        await ask.must("POST", ALL, manifest(GROUP, **backends.SPEC))
        what = 'service/metrics in "default"'
        no = "Available", "False"
        assert await condition() == (*no, "ServiceNotFound", f"{what} is not present")

        await ask.must("POST", backends.SERVICES, backends.service(name="x", port=80))
        expected = (*no, "ServicePortError", f"{what} is not listening on port 443")
        assert await condition() == expected

        port = {"spec": {"ports": [{"name": "y", "port": 443}]}}
        await ask.must("PATCH", f"{backends.SERVICES}/metrics", port, headers=backends.MERGE)
        expected = (*no, "EndpointsNotFound", f"cannot find endpointslices for {what}")
        assert await condition() == expected

        detail = f'endpointslices for {what} have no addresses with port name "y"'
        for ready, name in ((False, "y"), (True, "z")):
            await ask.must("POST", backends.SLICES, backends.slices(ready, name))
            assert await condition() == (*no, "MissingEndpoints", detail)
            await ask.must("DELETE", f"{backends.SLICES}/metrics-1")

        await ask.must("POST", backends.SLICES, backends.slices(None, "y"))
        url = f"https://10.99.0.1:443/apis/{GROUP}/v1"
        detail = f'failing or missing response from {url}: Get "{url}": '
        detail += "dial tcp 10.99.0.1:443: connect: connection refused"
        assert await condition() == (*no, "FailedDiscoveryCheck", detail)

        # It is asked again by itself.
        backend.down = False
        backend.answers[f"/apis/{GROUP}/v1"] = lambda _: Answer(403)
        await env.clock.sleep(30)
        detail = f"failing or missing response from {url}: bad status from {url}: 403"
        assert await condition() == (*no, "FailedDiscoveryCheck", detail)
        backend.answers[f"/apis/{GROUP}/v1"] = lambda _: Answer(200, backends.LEGACY)
        await env.clock.sleep(30)
        assert await condition() == ("Available", "True", "Passed", "all checks passed")
        revision = ask.server.context.store.revision
        await env.clock.sleep(300)
        assert ask.server.context.store.revision == revision

        # It becomes this server's own.
        own = {"spec": {"service": None, "insecureSkipTLSVerify": False}}
        await ask.must("PATCH", NAME, own, headers=backends.MERGE)
        assert await condition() == LOCAL


@virtual.test()
async def test_what_is_written_over_it_does_not_stay(env: Env) -> None:
    async with asked(env, post_start_hooks=True) as ask:
        spec = {"groupPriorityMinimum": 100, "versionPriority": 10}
        await ask.must("POST", ALL, manifest(GROUP, **spec))
        other = {"type": "Other", "status": "True"}
        for written in (None, [], [{"type": "Available", "status": "False"}, other]):
            status = {"status": {"conditions": written}}
            await ask.must("PATCH", f"{NAME}/status", status, headers=backends.MERGE)
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
