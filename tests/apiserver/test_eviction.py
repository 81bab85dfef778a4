"""``pods/eviction``: budgets say yes or no, and count."""

from typing import Any

from tests.apiserver.test_reading import Api, api
from tests.apiserver.test_writing import MERGE, PODS, pod

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def _running(ask: Api, name: str, ready: bool = True) -> None:
    given = pod(name, nodeName="n1", automountServiceAccountToken=False)
    given["metadata"]["labels"] = {"app": "web"}
    assert (await ask("POST", PODS, given))[0] == 201
    ready_now = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"status": {"phase": "Running", "conditions": [ready_now]}}
    assert (await ask("PATCH", f"{PODS}/{name}/status", status, media=MERGE))[0] == 200


async def _budget(ask: Api, **status: Any) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await ask("POST", BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    got = {"status": {"observedGeneration": 1, **status}}
    answer = await ask("PATCH", f"{BUDGETS}/web/status", got, media=MERGE)
    assert answer[0] == 200


async def _evict(ask: Api, name: str, query: str = "", **options: Any) -> tuple[int, Any]:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return await ask("POST", f"{PODS}/{name}/eviction{query}", eviction | options)


async def test_without_a_budget_the_pod_goes_and_says_why() -> None:
    async with api() as ask:
        await _running(ask, "a")
        status, answer = await _evict(ask, "a")
        assert (status, answer["status"]) == (201, "Success")
        _, left = await ask("GET", f"{PODS}/a")
        assert left["metadata"]["deletionTimestamp"]
        target = left["status"]["conditions"][-1]
        assert (target["type"], target["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")


async def test_a_zero_time_of_a_pod_can_be_read_and_written_again() -> None:
    """An empty text would be a time that neither clients in Go nor the next update can read."""
    zero = "0001-01-01T00:00:00Z"
    async with api() as ask:
        await _budget(ask, disruptedPods={"a": zero, "b": None})
        _, budget = await ask("GET", f"{BUDGETS}/web")
        assert budget["status"]["disruptedPods"] == {"a": zero}
        budget["status"]["disruptedPods"]["b"] = None
        status, budget = await ask("PUT", f"{BUDGETS}/web/status", budget)
        assert (status, budget["status"]["disruptedPods"]) == (200, {"a": zero, "b": zero})
        assert (await ask("PUT", f"{BUDGETS}/web/status", budget))[0] == 200


async def test_the_budget_counts_and_ends() -> None:
    async with api() as ask:
        for name in "abc":
            await _running(ask, name)
        await _budget(ask, disruptionsAllowed=1, currentHealthy=3, desiredHealthy=2)
        assert (await _evict(ask, "a", "?dryRun=All"))[0] == 201
        assert (await _evict(ask, "a"))[0] == 201
        _, budget = await ask("GET", f"{BUDGETS}/web")
        assert budget["status"]["disruptionsAllowed"] == 0
        assert list(budget["status"]["disruptedPods"]) == ["a"]
        condition = budget["status"]["conditions"][0]
        assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")
        status, answer = await _evict(ask, "b")
        assert (status, answer["reason"]) == (429, "TooManyRequests")
        assert answer["details"]["causes"][0]["reason"] == "DisruptionBudget"


async def test_a_budget_nobody_has_looked_at_refuses_for_now() -> None:
    async with api() as ask:
        await _running(ask, "a")
        await _budget(ask, observedGeneration=0, disruptionsAllowed=1)
        status, answer = await _evict(ask, "a")
        assert (status, answer["details"]["retryAfterSeconds"]) == (429, 10)


async def test_an_unready_pod_goes_while_the_others_are_enough() -> None:
    async with api() as ask:
        await _running(ask, "sick", ready=False)
        await _budget(ask, disruptionsAllowed=0, currentHealthy=1, desiredHealthy=1)
        assert (await _evict(ask, "sick"))[0] == 201
        _, budget = await ask("GET", f"{BUDGETS}/web")
        assert "disruptedPods" not in budget["status"]


async def test_refusals() -> None:
    async with api() as ask:
        await _running(ask, "a")
        assert (await _evict(ask, "gone"))[0] == 404
        status, _ = await _evict(ask, "a", metadata={"name": "b"})
        assert status == 400
        status, _ = await _evict(ask, "a", deleteOptions={"preconditions": {"uid": "other"}})
        assert status == 409
        status, _ = await _evict(ask, "a", deleteOptions={"gracePeriodSeconds": 0})
        assert status == 201
