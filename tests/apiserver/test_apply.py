"""Server-side apply over HTTP: ownership, conflicts, what is taken away again, who may what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.apiserver.test_reading import ADMIN, MAPS, Api, api
from tests.apiserver.test_writing import DEPLOYMENTS, MERGE, deployment, pod
from trireme.apiserver import chain
from trireme.apiserver.request import Request

APPLY = "application/apply-patch+yaml"
PODS = "/api/v1/namespaces/default/pods"


def config(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": data,
    }


async def apply(
    ask: Api, path: str, body: Any, manager: str = "one", **options: str
) -> tuple[int, Any]:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    target = f"{path}?fieldManager={manager}" + (f"&{query}" if query else "")
    return await ask("PATCH", target, body, media=APPLY)


async def send(ask: Api, method: str, path: str, data: bytes, **headers: str) -> tuple[int, Any]:
    """A body as it is, and any header."""
    path, _, query = path.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await chain.handle(ask.server, Request(method, path, query, named, data, user=ADMIN))
    return answer.status, msgspec.json.decode(answer.body)


def owners(obj: dict[str, Any]) -> dict[tuple[str, str, str], Any]:
    """Fields by manager, operation and subresource."""
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


async def test_apply_creates_and_again_changes_nothing() -> None:
    async with api() as ask:
        status, made = await apply(ask, f"{MAPS}/a", config(x="1"))
        assert status == 201
        assert owners(made) == {("one", "Apply", ""): {"f:data": {"f:x": {}}}}
        entry = made["metadata"]["managedFields"][0]
        assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
        status, again = await apply(ask, f"{MAPS}/a", config(x="1"))
        assert status == 200
        assert again == made


async def test_what_is_applied_no_more_and_nobody_owns_goes() -> None:
    async with api() as ask:
        await apply(ask, f"{MAPS}/a", config(x="1", y="2"))
        status, left = await apply(ask, f"{MAPS}/a", config(x="1"))
        assert (status, left["data"]) == (200, {"x": "1"})
        await apply(ask, f"{MAPS}/a", config(z="3"), manager="two")
        status, left = await apply(ask, f"{MAPS}/a", config(), manager="two")
        assert left["data"] == {"x": "1"}
        assert set(owners(left)) == {("one", "Apply", ""), ("two", "Apply", "")}


async def test_shared_fields_stay_until_the_last_owner_lets_go() -> None:
    async with api() as ask:
        await apply(ask, f"{MAPS}/a", config(x="1"))
        await apply(ask, f"{MAPS}/a", config(x="1"), manager="two")
        _, left = await apply(ask, f"{MAPS}/a", config())
        assert left["data"] == {"x": "1"}
        _, left = await apply(ask, f"{MAPS}/a", config(), manager="two")
        assert "data" not in left or left["data"] == {}


async def test_conflicts_name_manager_and_field() -> None:
    async with api() as ask:
        await apply(ask, f"{MAPS}/a", config(x="1", y="1"))
        status, refused = await apply(ask, f"{MAPS}/a", config(x="2"), manager="two")
        assert (status, refused["reason"]) == (409, "Conflict")
        assert refused["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
        assert refused["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
        ]
        status, refused = await apply(ask, f"{MAPS}/a", config(x="2", y="2"), manager="two")
        assert refused["message"] == (
            'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'
        )
        status, forced = await apply(
            ask, f"{MAPS}/a", config(x="2", y="1"), manager="two", force="true"
        )
        assert (status, forced["data"]) == (200, {"x": "2", "y": "1"})
        assert owners(forced) == {
            ("one", "Apply", ""): {"f:data": {"f:y": {}}},
            ("two", "Apply", ""): {"f:data": {"f:x": {}, "f:y": {}}},
        }


async def test_updates_own_what_they_change_and_conflict_by_version() -> None:
    async with api() as ask:
        await ask("POST", f"{DEPLOYMENTS}?fieldManager=maker", deployment())
        expected = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 3},
        }
        status, refused = await apply(ask, f"{DEPLOYMENTS}/web", expected)
        assert status == 409
        assert refused["message"] == (
            'Apply failed with 1 conflict: conflict with "maker" using apps/v1: .spec.replicas'
        )


async def test_list_maps_merge_by_their_keys_and_defaults_count() -> None:
    async with api() as ask:
        given = pod()
        given["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
        _, made = await apply(ask, f"{PODS}/p", given)
        key = 'k:{"containerPort":80,"protocol":"TCP"}'
        assert owners(made)[("one", "Apply", "")]["f:spec"] == {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:image": {},
                    "f:name": {},
                    "f:ports": {key: {".": {}, "f:containerPort": {}}},
                }
            }
        }
        given["spec"]["containers"][0]["ports"] *= 2
        status, refused = await apply(ask, f"{PODS}/p", given)
        assert status == 400
        assert 'duplicate entries for key [containerPort=80,protocol="TCP"]' in refused["message"]


async def test_a_create_owns_by_the_agents_name() -> None:
    async with api() as ask:
        data = msgspec.json.encode(pod())
        _, made = await send(ask, "POST", PODS, data, user_agent="kubectl/v1.36 (linux/amd64) x")
        assert owners(made) == {
            ("kubectl", "Update", ""): {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"c"}': {
                            ".": {},
                            "f:image": {},
                            "f:imagePullPolicy": {},
                            "f:name": {},
                            "f:resources": {},
                            "f:terminationMessagePath": {},
                            "f:terminationMessagePolicy": {},
                        }
                    },
                    "f:dnsPolicy": {},
                    "f:enableServiceLinks": {},
                    "f:restartPolicy": {},
                    "f:schedulerName": {},
                    "f:securityContext": {},
                    "f:terminationGracePeriodSeconds": {},
                }
            }
        }


async def test_status_has_an_entry_of_its_own() -> None:
    async with api() as ask:
        await ask("POST", f"{PODS}?fieldManager=maker", pod())
        change = {"status": {"phase": "Running"}, "spec": {"nodeName": "elsewhere"}}
        _, now = await ask("PATCH", f"{PODS}/p/status?fieldManager=let", change, media=MERGE)
        assert owners(now)[("let", "Update", "status")] == {"f:status": {"f:phase": {}}}
        version = now["metadata"]["resourceVersion"]
        _, same = await ask("PATCH", f"{PODS}/p/status?fieldManager=let", change, media=MERGE)
        assert same["metadata"]["resourceVersion"] == version
        applied = {"apiVersion": "v1", "kind": "Pod", "status": {"message": "hello"}}
        status, now = await apply(ask, f"{PODS}/p/status", applied)
        assert (status, now["status"]["message"]) == (200, "hello")
        assert owners(now)[("one", "Apply", "status")] == {"f:status": {"f:message": {}}}


async def test_scale_takes_the_replicas() -> None:
    async with api() as ask:
        given = deployment()
        given["spec"]["replicas"] = 2
        await apply(ask, f"{DEPLOYMENTS}/web", given)
        change = {"spec": {"replicas": 5}}
        status, scaled = await ask(
            "PATCH", f"{DEPLOYMENTS}/web/scale?fieldManager=hpa", change, media=MERGE
        )
        assert (status, scaled["spec"]["replicas"]) == (200, 5)
        assert "managedFields" not in scaled["metadata"]
        _, now = await ask("GET", f"{DEPLOYMENTS}/web")
        assert owners(now)[("hpa", "Update", "scale")] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in owners(now)[("one", "Apply", "")]["f:spec"]
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "spec": {"replicas": 7},
        }
        status, refused = await apply(ask, f"{DEPLOYMENTS}/web/scale", scale)
        assert status == 409
        assert ".spec.replicas" in refused["message"]
        status, scaled = await apply(ask, f"{DEPLOYMENTS}/web/scale", scale, force="true")
        assert (status, scaled["spec"]["replicas"]) == (200, 7)


@pytest.mark.parametrize("nothing", [[], [{}]])
async def test_managed_fields_can_be_cleared(nothing: list[Any]) -> None:
    async with api() as ask:
        await apply(ask, f"{MAPS}/a", config(x="1"))
        change = {"metadata": {"managedFields": nothing}}
        _, now = await ask("PATCH", f"{MAPS}/a", change, media=MERGE)
        assert "managedFields" not in now["metadata"]
        # From here on nobody is tracked, until somebody applies.
        _, now = await ask("PATCH", f"{MAPS}/a", {"data": {"y": "2"}}, media=MERGE)
        assert "managedFields" not in now["metadata"]
        _, refused = await apply(ask, f"{MAPS}/a", config(x="9"))
        assert 'conflict with "before-first-apply" using v1: .data.x' in refused["message"]


async def test_what_an_apply_may_not() -> None:
    async with api() as ask:
        status, refused = await ask("PATCH", f"{MAPS}/a", config(), media=APPLY)
        assert (status, refused["details"]["causes"][0]["message"]) == (
            422,
            "Required value: is required for apply patch",
        )
        status, refused = await apply(ask, f"{MAPS}/a", {**config(), "kind": "Secret"})
        assert (status, refused["message"]) == (400, "invalid object type: /v1, Kind=Secret")
        bad = config()
        bad["metadata"]["managedFields"] = []
        status, refused = await apply(ask, f"{MAPS}/a", bad)
        assert (status, refused["message"]) == (400, "metadata.managedFields must be nil")
        status, refused = await apply(ask, f"{MAPS}/a", {**config(), "spec": 1})
        assert status == 400
        assert refused["message"] == (
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): "
            ".spec: field not declared in schema"
        )
        bad = config()
        bad["metadata"]["name"] = "b"
        status, refused = await apply(ask, f"{MAPS}/a", bad)
        assert status == 400
        bad = config()
        bad["metadata"]["uid"] = "123"
        status, refused = await apply(ask, f"{MAPS}/a", bad)
        assert (status, refused["reason"]) == (409, "Conflict")
        status, refused = await apply(ask, f"{MAPS}/a", config(), manager="x" * 129)
        assert status == 422
        status, refused = await ask("PATCH", f"{MAPS}/a?force=true", {}, media=MERGE)
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "force")
        status, refused = await apply(ask, f"{MAPS}/b/status", config())
        assert status == 404


async def test_forged_entries_are_validated() -> None:
    async with api() as ask:
        made = await ask.make("a")
        entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
        entry |= {"fieldsV1": {"f:data": {"f:x": {}}}}  # type: ignore[dict-item]
        made["metadata"]["managedFields"] = [{"manager": "x" * 129, **entry}]
        status, refused = await ask("PUT", f"{MAPS}/a", made)
        assert status == 422
        assert refused["details"]["causes"][0]["field"] == "metadata.managedFields[0].manager"
        # What cannot be read at all is as good as not sent.
        made["metadata"]["managedFields"] = [{"manager": "x", **entry, "operation": "Move"}]
        status, _ = await ask("PUT", f"{MAPS}/a", made)
        assert status == 200


async def test_dry_run_and_versions() -> None:
    async with api() as ask:
        status, made = await apply(ask, f"{MAPS}/a", config(x="1"), dryRun="All")
        assert status == 201
        assert (await ask("GET", f"{MAPS}/a"))[0] == 404
        _, made = await apply(ask, f"{MAPS}/a", config(x="1"))
        await apply(ask, f"{MAPS}/a", config(x="2"))
        old = config(x="3")
        old["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        status, refused = await apply(ask, f"{MAPS}/a", old)
        assert (status, refused["reason"]) == (409, "Conflict")


async def test_yaml_with_a_key_set_twice() -> None:
    async with api() as ask:
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n"
        path = f"{MAPS}/a?fieldManager=one&fieldValidation="
        status, refused = await send(ask, "PATCH", f"{path}Strict", text, content_type=APPLY)
        assert status == 400
        assert refused["message"].startswith("error strict decoding YAML: ")
        status, made = await send(ask, "PATCH", f"{path}Ignore", text, content_type=APPLY)
        assert (status, made["data"]) == (201, {"x": "2"})


async def test_kubectl_moves_from_client_side_to_server_side_apply() -> None:
    async with api() as ask:
        last = config(x="1")
        given = config(x="1")
        given["metadata"]["annotations"] = {
            "kubectl.kubernetes.io/last-applied-configuration": msgspec.json.encode(last).decode()
        }
        await ask("POST", f"{MAPS}?fieldManager=kubectl-client-side-apply", given)
        status, now = await apply(ask, f"{MAPS}/a", config(x="2"), manager="kubectl")
        assert (status, now["data"]) == (200, {"x": "2"})
        text = now["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
        assert msgspec.json.decode(text.encode())["data"] == {"x": "2"}
        status, _ = await apply(ask, f"{MAPS}/a", config(x="3"), manager="other")
        assert status == 409
