"""/metrics under upstream's names, /statusz and /flagz, and who may see them."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.apiserver import wire

from trireme.kit.env import Env
from trireme.testing import virtual

MAPS = "/api/v1/namespaces/default/configmaps"
MADE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


async def samples(ask: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = (await ask.answer("GET", "/metrics")).body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**more: str) -> frozenset[tuple[str, str]]:
    all_ = {
        "group": "",
        "version": "v1",
        "resource": "configmaps",
        "subresource": "",
        "component": "apiserver",
    }
    return frozenset((all_ | more).items())


async def test_requests_are_counted(asking: Any) -> None:
    async with asking(Env()) as ask:
        await ask.must("POST", MAPS, MADE)
        await ask("POST", MAPS, MADE)
        await ask("GET", MAPS)
        await ask("POST", f"{MAPS}?dryRun=All", MADE)
        applied = {"content-type": "application/apply-patch+yaml"}
        await ask("PATCH", f"{MAPS}/a?fieldManager=m", MADE, applied)
        found = await samples(ask)
    total = "apiserver_request_total"
    created = labels(verb="POST", dry_run="", scope="resource", code="201")
    assert found[total, created] == 1
    assert found[total, labels(verb="POST", dry_run="", scope="resource", code="409")] == 1
    assert found[total, labels(verb="POST", dry_run="All", scope="resource", code="409")] == 1
    assert found[total, labels(verb="LIST", dry_run="", scope="namespace", code="200")] == 1
    assert found[total, labels(verb="APPLY", dry_run="", scope="resource", code="200")] == 1
    duration = "apiserver_request_duration_seconds"
    listed = labels(verb="LIST", dry_run="", scope="namespace")
    assert found[f"{duration}_count", listed] == 1
    assert found[f"{duration}_bucket", listed | {("le", "+Inf")}] == 1
    assert ("le", "0.005") in {label for _, kinds in found for label in kinds}
    sizes = labels(verb="LIST", scope="namespace") | {("le", "1000")}
    assert ("apiserver_response_sizes_bucket", sizes) in found


@virtual.test()
async def test_what_is_not_served_makes_no_series(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        for number in range(50):
            await ask("GET", f"/apis/x{number}.example.com/v1/namespaces/default/things/a")
            await ask("GET", f"/nowhere/{number}")
        assert len(ask.server.context.metrics._series) < 10


async def test_a_watch_is_counted_while_it_lasts_and_at_its_end(caplog: Any) -> None:
    async with wire.served(caplog) as site:
        counted = site.server.context.metrics._series
        made = await site.wire()
        made.send(wire.request("GET", f"{MAPS}?watch=1&timeoutSeconds=1"))
        await made.reader.readuntil(b"\r\n\r\n")
        (watch,) = [one for key, one in counted.items() if key[0] == "WATCH"]
        assert (watch.running, watch.codes) == (1, {})
        await made._chunks()
        made.close()
        while watch.running:
            await site.alive()
        assert watch.codes == {200: 1}


@virtual.test()
async def test_pages_are_for_whoever_monitors(env: Env, asking: Any) -> None:
    async with asking(env, flags={"v": "2"}) as ask:
        monitor = ask.as_user("m", "system:monitoring")
        for path in ("/metrics", "/statusz", "/flagz"):
            assert (await ask.as_user("jane").answer("GET", path)).status == 403
        status = await monitor.answer("GET", "/statusz")
        assert b"kube-apiserver statusz" in status.body
        assert b"Binary version: 1.36.2" in status.body
        assert (await monitor.answer("GET", "/flagz")).body.endswith(b"\nv=2\n")


async def test_profiles(asking: Any) -> None:
    async with asking(Env()) as ask:
        tasks = (await ask.answer("GET", "/debug/pprof/goroutine")).body.decode()
        assert "test_profiles" in tasks and "thread MainThread" in tasks
        folded = (await ask.answer("GET", "/debug/pprof/profile?seconds=0.05")).body.decode()
        assert folded.splitlines()[0].rpartition(" ")[2].isdigit()
        assert (await ask.answer("GET", "/debug/pprof/heap")).status == 200
        assert (await ask.answer("GET", "/debug/pprof/profile?seconds=51")).status == 400
        assert (await ask.answer("GET", "/debug/pprof/block")).status == 404
        nobody = await ask.as_user("joe").answer("GET", "/debug/pprof/goroutine")
        assert nobody.status == 403
    async with asking(Env(), profiling=False) as ask:
        assert (await ask.answer("GET", "/debug/pprof/")).status == 404
