"""POST, PUT, PATCH and DELETE: system metadata, versions, validation, patches, deletion."""

from typing import Any

import pytest

from tests.apiserver.test_reading import MAPS, Api, api, config_map, names

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def deployment(name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i:1"}]},
            },
        },
    }


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec},
    }


async def test_create_defaults_and_system_metadata() -> None:
    async with api() as ask:
        given = deployment()
        given["status"] = {"replicas": 7}
        given["metadata"] |= {"uid": "mine", "generation": 9, "creationTimestamp": None}
        status, made = await ask("POST", DEPLOYMENTS, given)
        assert status == 201
        assert made["spec"]["replicas"] == 1
        assert made["spec"]["strategy"]["rollingUpdate"] == {
            "maxUnavailable": "25%",
            "maxSurge": "25%",
        }
        assert made["status"] == {}
        assert made["metadata"]["generation"] == 1
        assert made["metadata"]["uid"] != "mine"
        status, again = await ask("POST", DEPLOYMENTS, given)
        assert (status, again["reason"]) == (409, "AlreadyExists")
        assert again["message"] == 'deployments.apps "web" already exists'


async def test_generated_names() -> None:
    async with api() as ask:
        given = config_map("")
        given["metadata"] = {"generateName": "run-"}
        made = [(await ask("POST", MAPS, given))[1] for _ in range(3)]
        found = {item["metadata"]["name"] for item in made}
        assert len(found) == 3
        assert all(name.startswith("run-") and len(name) == 9 for name in found)


async def test_dry_run_stores_nothing() -> None:
    async with api() as ask:
        status, made = await ask("POST", f"{MAPS}?dryRun=All", config_map("a"))
        assert (status, made["metadata"]["name"]) == (201, "a")
        assert "resourceVersion" not in made["metadata"]
        assert (await ask("GET", f"{MAPS}/a"))[0] == 404
        await ask.make("b")
        await ask("DELETE", f"{MAPS}/b?dryRun=All")
        assert (await ask("GET", f"{MAPS}/b"))[0] == 200
        status, refused = await ask("POST", f"{MAPS}?dryRun=Some", config_map("c"))
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "dryRun")


@pytest.mark.parametrize(
    ("mode", "status", "warned"),
    [("Strict", 400, False), ("Warn", 201, True), ("Ignore", 201, False)],
)
async def test_field_validation(mode: str, status: int, warned: bool) -> None:
    async with api() as ask:
        given = config_map("a") | {"nope": 1}
        answer = await ask.raw("POST", f"{MAPS}?fieldValidation={mode}", given)
        assert answer.status == status
        assert bool(answer.warnings) == warned
        if warned:
            assert 'unknown field \\"nope\\"' in answer.warnings[0]
        if status == 400:
            assert b'strict decoding error: unknown field \\"nope\\"' in answer.body


async def test_invalid_objects_name_every_field() -> None:
    async with api() as ask:
        given = deployment("Bad_Name")
        given["spec"]["replicas"] = -1
        status, answer = await ask("POST", DEPLOYMENTS, given)
        assert (status, answer["reason"]) == (422, "Invalid")
        fields = [cause["field"] for cause in answer["details"]["causes"]]
        assert fields == ["metadata.name", "spec.replicas"]
        assert answer["message"].startswith('Deployment.apps "Bad_Name" is invalid: [')


async def test_wrong_kinds_names_and_namespaces() -> None:
    async with api() as ask:
        assert (await ask("POST", MAPS, deployment()))[0] == 400
        elsewhere = config_map("a")
        elsewhere["metadata"]["namespace"] = "kube-system"
        status, answer = await ask("POST", MAPS, elsewhere)
        assert status == 400
        assert "does not match the namespace sent" in answer["message"]
        await ask.make("a")
        status, answer = await ask("PUT", f"{MAPS}/a", config_map("b"))
        assert status == 400
        assert "does not match the name on the URL" in answer["message"]
        assert (await ask("PUT", f"{MAPS}/none", config_map("none")))[0] == 404


async def test_updates_are_for_the_version_that_they_name() -> None:
    async with api() as ask:
        made = await ask.make("a")
        made["data"] = {"k": "2"}
        status, second = await ask("PUT", f"{MAPS}/a", made)
        assert (status, second["data"]) == (200, {"k": "2"})
        status, conflict = await ask("PUT", f"{MAPS}/a", made)
        assert (status, conflict["reason"]) == (409, "Conflict")
        assert conflict["message"].startswith(
            'Operation cannot be fulfilled on configmaps "a": the object has been modified'
        )
        blind = config_map("a") | {"data": {"k": "3"}}
        assert (await ask("PUT", f"{MAPS}/a", blind))[0] == 200
        blind["metadata"]["uid"] = "other"
        status, conflict = await ask("PUT", f"{MAPS}/a", blind)
        assert (status, conflict["reason"]) == (409, "Conflict")


async def test_an_update_without_a_change_writes_nothing() -> None:
    async with api() as ask:
        made = await ask.make("a")
        before = ask.server.context.store.revision
        assert await ask("PUT", f"{MAPS}/a", made) == (200, made)
        assert ask.server.context.store.revision == before


async def test_status_and_spec_keep_to_their_own_paths() -> None:
    async with api() as ask:
        _, made = await ask("POST", DEPLOYMENTS, deployment())
        made["spec"]["replicas"] = 5
        made["status"] = {"replicas": 4, "observedGeneration": 1}
        _, by_status = await ask("PUT", f"{DEPLOYMENTS}/web/status", made)
        assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (1, 4)
        assert by_status["metadata"]["generation"] == 1
        by_status["spec"]["replicas"] = 5
        by_status["status"]["replicas"] = 0
        _, by_spec = await ask("PUT", f"{DEPLOYMENTS}/web", by_status)
        assert (by_spec["spec"]["replicas"], by_spec["status"]["replicas"]) == (5, 4)
        assert by_spec["metadata"]["generation"] == 2


async def test_scale() -> None:
    async with api() as ask:
        await ask("POST", DEPLOYMENTS, deployment())
        _, scale = await ask("GET", f"{DEPLOYMENTS}/web/scale")
        assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == (
            "Scale",
            {"replicas": 1},
            "a=b",
        )
        path = f"{DEPLOYMENTS}/web/scale"
        _, scaled = await ask("PATCH", path, {"spec": {"replicas": 3}}, media=MERGE)
        assert scaled["spec"]["replicas"] == 3
        status, refused = await ask("PATCH", path, {"spec": {"replicas": -1}}, media=MERGE)
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "spec.replicas")
        _, stored = await ask("GET", f"{DEPLOYMENTS}/web")
        assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (3, 2)


async def test_the_three_patches() -> None:
    async with api() as ask:
        await ask("POST", DEPLOYMENTS, deployment())
        path = f"{DEPLOYMENTS}/web"
        containers = [{"name": "side", "image": "s:1"}]
        change = {"spec": {"template": {"spec": {"containers": containers}}}}
        _, merged = await ask("PATCH", path, change, media=STRATEGIC)
        found = merged["spec"]["template"]["spec"]["containers"]
        assert sorted(item["name"] for item in found) == ["c", "side"]
        _, replaced = await ask("PATCH", path, change, media=MERGE)
        found = replaced["spec"]["template"]["spec"]["containers"]
        assert [item["name"] for item in found] == ["side"]
        steps = [
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 2},
        ]
        _, stepped = await ask("PATCH", path, steps, media=JSON_PATCH)
        assert stepped["spec"]["replicas"] == 2
        status, failed = await ask("PATCH", path, steps, media=JSON_PATCH)
        assert (status, failed["reason"]) == (422, "Invalid")
        status, refused = await ask("PATCH", path, {}, media="application/apply-patch+cbor")
        assert (status, refused["reason"]) == (415, "UnsupportedMediaType")


async def test_a_patch_is_for_the_version_that_it_names() -> None:
    async with api() as ask:
        made = await ask.make("a")
        version = made["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}
        assert (await ask("PATCH", f"{MAPS}/a", change, media=MERGE))[0] == 200
        assert (await ask("PATCH", f"{MAPS}/a", change, media=MERGE))[0] == 409
        del change["metadata"]
        assert (await ask("PATCH", f"{MAPS}/a", change, media=MERGE))[0] == 200


async def test_delete_answers_and_preconditions() -> None:
    async with api() as ask:
        made = await ask.make("a")
        wrong = {"preconditions": {"uid": "other"}}
        status, refused = await ask("DELETE", f"{MAPS}/a", wrong)
        assert (status, refused["reason"]) == (409, "Conflict")
        status, done = await ask("DELETE", f"{MAPS}/a")
        assert (status, done["status"]) == (200, "Success")
        assert done["details"] == {
            "name": "a",
            "kind": "configmaps",
            "uid": made["metadata"]["uid"],
        }
        assert (await ask("DELETE", f"{MAPS}/a"))[0] == 404


async def test_finalizers_keep_an_object_until_they_are_gone() -> None:
    async with api() as ask:
        given = config_map("a")
        given["metadata"]["finalizers"] = ["example.com/wait"]
        await ask("POST", MAPS, given)
        _, deleting = await ask("DELETE", f"{MAPS}/a")
        assert deleting["metadata"]["deletionTimestamp"]
        assert deleting["metadata"]["deletionGracePeriodSeconds"] == 0
        more = {"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}}
        status, refused = await ask("PATCH", f"{MAPS}/a", more, media=MERGE)
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "metadata.finalizers")
        none = {"metadata": {"finalizers": None}}
        assert (await ask("PATCH", f"{MAPS}/a", none, media=MERGE))[0] == 200
        assert (await ask("GET", f"{MAPS}/a"))[0] == 404


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"]), ("Background", None)],
)
async def test_propagation_becomes_a_finalizer(policy: str, finalizers: Any) -> None:
    async with api() as ask:
        await ask("POST", DEPLOYMENTS, deployment())
        await ask("DELETE", f"{DEPLOYMENTS}/web?propagationPolicy={policy}")
        status, left = await ask("GET", f"{DEPLOYMENTS}/web")
        if finalizers is None:
            assert status == 404
        else:
            assert left["metadata"]["finalizers"] == finalizers


async def bound(ask: Api, name: str = "p", **spec: Any) -> None:
    await ask("POST", PODS, pod(name, **spec))
    binding = {"target": {"kind": "Node", "name": "n"}}
    status, answer = await ask("POST", f"{PODS}/{name}/binding", binding)
    assert status == 201, answer


async def test_pods_are_bound_once() -> None:
    async with api() as ask:
        await bound(ask)
        _, stored = await ask("GET", f"{PODS}/p")
        assert stored["spec"]["nodeName"] == "n"
        (condition,) = [c for c in stored["status"]["conditions"] if c["type"] == "PodScheduled"]
        assert condition["status"] == "True"
        status, again = await ask(
            "POST", f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "m"}}
        )
        assert (status, again["reason"]) == (409, "Conflict")


async def test_a_bound_pod_has_its_grace_and_a_second_delete_can_only_shorten_it() -> None:
    async with api() as ask:
        await ask("POST", PODS, pod("loose"))
        status, gone = await ask("DELETE", f"{PODS}/loose")
        assert (status, gone["kind"]) == (200, "Pod")
        assert (await ask("GET", f"{PODS}/loose"))[0] == 404
        await bound(ask)
        _, deleting = await ask("DELETE", f"{PODS}/p")
        assert deleting["metadata"]["deletionGracePeriodSeconds"] == 30
        _, same = await ask("DELETE", f"{PODS}/p?gracePeriodSeconds=60")
        assert same["metadata"]["deletionGracePeriodSeconds"] == 30
        _, shorter = await ask("DELETE", f"{PODS}/p?gracePeriodSeconds=5")
        assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
        await ask("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        assert (await ask("GET", f"{PODS}/p"))[0] == 404


async def test_deletecollection_takes_what_the_selector_means() -> None:
    async with api() as ask:
        for name, tier in (("a", "x"), ("b", "y"), ("c", "x")):
            await ask.make(name, tier=tier)
        status, deleted = await ask("DELETE", f"{MAPS}?labelSelector=tier%3Dx")
        assert (status, names(deleted)) == (200, ["a", "c"])
        assert names((await ask("GET", MAPS))[1]) == ["b"]


async def test_services_get_addresses_and_ports_and_give_them_back() -> None:
    services = "/api/v1/namespaces/default/services"

    def service(name: str, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"port": 80}], **spec},
        }

    async with api() as ask:
        _, made = await ask("POST", services, service("a", type="NodePort"))
        spec = made["spec"]
        assert spec["clusterIPs"] == [spec["clusterIP"]]
        assert 30000 <= spec["ports"][0]["nodePort"] <= 32767
        taken = service("b", clusterIP=spec["clusterIP"])
        status, refused = await ask("POST", services, taken)
        assert status == 422
        assert "provided IP is already allocated" in refused["message"]
        outside = service("c", clusterIP="192.0.2.1")
        refused = (await ask("POST", services, outside))[1]
        assert "provided network does not match the current range" in refused["message"]
        await ask("DELETE", f"{services}/a")
        assert (await ask("POST", services, taken))[0] == 201
        _, headless = await ask("POST", services, service("d", clusterIP="None"))
        assert headless["spec"]["clusterIPs"] == ["None"]


async def test_unknown_paths_resources_and_verbs() -> None:
    async with api() as ask:
        status, answer = await ask("GET", "/apis/apps/v1/namespaces/default/nothings")
        assert (status, answer["reason"]) == (404, "NotFound")
        assert answer["message"] == "the server could not find the requested resource"
        raw = await ask.raw("GET", "/nothing")
        assert (raw.status, raw.body) == (404, b"404 page not found\n")
        status, answer = await ask("DELETE", "/api/v1/namespaces")
        assert (status, answer["reason"]) == (405, "MethodNotAllowed")


async def test_an_owner_is_named_once() -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
    other = owner | {"name": "another"}
    given = config_map("owned")
    given["metadata"]["ownerReferences"] = [owner, owner, other]
    async with api() as ask:
        answer = await ask.raw("POST", MAPS, given)
        assert "duplicate UID(s) observed: u" in answer.warnings[0]
        _, made = await ask("GET", f"{MAPS}/owned")
        assert made["metadata"]["ownerReferences"] == [owner, other]
        patch = [{"op": "add", "path": "/metadata/ownerReferences/-", "value": other}]
        answer = await ask.raw("PATCH", f"{MAPS}/owned", patch, media=JSON_PATCH)
        assert "after mutating admission happens" in answer.warnings[0]
        _, same = await ask("GET", f"{MAPS}/owned")
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
