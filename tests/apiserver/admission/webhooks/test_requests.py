"""What webhooks are asked: the fields of AdmissionRequest for every sort of write.

The values are those that upstream's kube-apiserver v1.36.2 sent for the same requests.
"""

from __future__ import annotations

from typing import Any

from tests.apiserver import hook_server
from tests.apiserver.admission.webhooks.conftest import MAPS, HookAsker, config_map
from tests.apiserver.hook_server import configuration, rule, webhook

ALL = [rule("*", "*", "*/*")]
MAP_KIND = {"group": "", "version": "v1", "kind": "ConfigMap"}
MAP_RESOURCE = {"group": "", "version": "v1", "resource": "configmaps"}
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
DEPLOYMENT = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]},
    },
}


async def asked(
    ask: HookAsker, requests: list[tuple[str, str, Any]], rules: Any = ALL, **given: Any
) -> list[dict[str, Any]]:
    """What a validating webhook saw of requests; it ignores what came of them."""
    async with hook_server.admission({"/": lambda _: {}}) as server:
        hook = webhook("v.example.com", server.client(), rules=rules, **given)
        await ask.configure(configuration("Validating", "c", hook))
        for method, path, body in requests:
            headers = {"content-type": "application/merge-patch+json"} if method == "PATCH" else {}
            await ask(method, path, body, headers)
        return [review["request"] for review in server.seen.get("/", [])]


async def test_a_creation(ask: HookAsker) -> None:
    path = f"{MAPS}?fieldManager=me&fieldValidation=Strict"
    (seen,) = await asked(ask, [("POST", path, config_map(data={"a": "b"}))])
    obj = seen.pop("object")
    assert obj["data"] == {"a": "b"}
    # The validating pass sees what will be stored.
    assert obj["metadata"]["uid"]
    assert obj["metadata"]["managedFields"][0]["manager"] == "me"
    uid = seen.pop("uid")
    assert len(uid) == 36
    assert seen == {
        "kind": MAP_KIND,
        "resource": MAP_RESOURCE,
        "requestKind": MAP_KIND,
        "requestResource": MAP_RESOURCE,
        "name": "m",
        "namespace": "default",
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "oldObject": None,
        "dryRun": False,
        "options": {
            "kind": "CreateOptions",
            "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "me",
            "fieldValidation": "Strict",
        },
    }


async def test_an_update_a_patch_and_a_deletion(ask: HookAsker) -> None:
    await ask.must("POST", MAPS, config_map(data={"a": "b"}))
    one = f"{MAPS}/m"
    seen = await asked(
        ask,
        [
            ("PUT", one, config_map(data={"a": "c"})),
            ("PATCH", f"{one}?fieldManager=me&dryRun=All", {"data": {"a": "d"}}),
            ("DELETE", one, {"kind": "DeleteOptions", "gracePeriodSeconds": 5}),
        ],
    )
    put, patched, deleted = seen
    assert put["options"] == {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
    assert (put["oldObject"]["data"], put["object"]["data"]) == ({"a": "b"}, {"a": "c"})
    assert put["object"]["metadata"]["uid"] == put["oldObject"]["metadata"]["uid"]
    assert patched["options"] == {
        "kind": "UpdateOptions",
        "apiVersion": "meta.k8s.io/v1",
        "dryRun": ["All"],
        "fieldManager": "me",
    }
    assert (patched["operation"], patched["dryRun"]) == ("UPDATE", True)
    assert patched["object"]["metadata"]["resourceVersion"]
    assert (deleted["operation"], deleted["object"]) == ("DELETE", None)
    assert deleted["oldObject"]["data"] == {"a": "c"}
    assert deleted["options"] == {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/v1",
        "gracePeriodSeconds": 5,
    }


async def test_a_collection_is_deleted_one_by_one_without_names(ask: HookAsker) -> None:
    for name in ("a", "b"):
        await ask.must("POST", MAPS, config_map(name))
    seen = await asked(ask, [("DELETE", MAPS, None)])
    assert [item["oldObject"]["metadata"]["name"] for item in seen] == ["a", "b"]
    assert all("name" not in item for item in seen)


async def test_a_generated_name_is_there_once_it_is_validated(ask: HookAsker) -> None:
    generated = {**config_map(), "metadata": {"generateName": "g-"}}
    (seen,) = await asked(ask, [("POST", MAPS, generated)])
    assert seen["name"] == seen["object"]["metadata"]["name"]
    assert seen["name"].startswith("g-")


async def test_a_generated_name_is_not_there_before(ask: HookAsker) -> None:
    generated = {**config_map(), "metadata": {"generateName": "g-"}}
    async with hook_server.admission({"/": lambda _: {}}) as server:
        await ask.configure(configuration("Mutating", "m", webhook("m.x.io", server.client())))
        await ask.must("POST", MAPS, generated)
        (review,) = server.seen["/"]
        assert "name" not in review["request"]
        assert "name" not in review["request"]["object"]["metadata"]


async def test_the_status_is_a_subresource(ask: HookAsker) -> None:
    await ask.must("POST", "/api/v1/namespaces/default/pods", POD)
    path = "/api/v1/namespaces/default/pods/p/status"
    (seen,) = await asked(ask, [("PATCH", path, {"status": {"reason": "r"}})])
    assert (seen["subResource"], seen["requestSubResource"]) == ("status", "status")
    assert seen["kind"]["kind"] == "Pod"


async def test_a_scale_is_a_kind_of_its_own(ask: HookAsker) -> None:
    await ask.must("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
    path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
    (seen,) = await asked(ask, [("PATCH", path, {"spec": {"replicas": 3}})])
    assert seen["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert seen["resource"]["resource"] == "deployments"
    assert seen["subResource"] == "scale"
    assert (seen["oldObject"]["spec"], seen["object"]["spec"]) == (
        {"replicas": 1},
        {"replicas": 3},
    )
    assert seen["object"]["kind"] == "Scale"


async def test_what_was_allocated_is_there_once_it_is_validated(ask: HookAsker) -> None:
    path = "/api/v1/namespaces/default/services"
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    rules = [rule("core", "v1", "services")]
    (seen,) = await asked(ask, [("POST", path, service)], rules)
    assert seen["object"]["spec"]["clusterIPs"]


async def test_what_was_allocated_is_given_back_where_it_is_refused(ask: HookAsker) -> None:
    path = "/api/v1/namespaces/default/services"
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    async with hook_server.admission({"/": lambda _: {"allowed": False}}) as server:
        hook = webhook("v.x.io", server.client(), rules=[rule("core", "v1", "services")])
        await ask.configure(configuration("Validating", "c", hook))
        before = await ask.must("GET", "/apis/networking.k8s.io/v1/ipaddresses")
        assert (await ask("POST", path, service))[0] == 400
        after = await ask.must("GET", "/apis/networking.k8s.io/v1/ipaddresses")
        assert len(after["items"]) == len(before["items"])


async def test_what_replaces_an_object_is_as_the_client_sent_it(ask: HookAsker) -> None:
    await ask.must("POST", MAPS, config_map(data={"a": "b"}))
    async with hook_server.admission({"/": lambda _: {}}) as server:
        await ask.configure(configuration("Mutating", "m", webhook("m.x.io", server.client())))
        await ask.must("PUT", f"{MAPS}/m", config_map(data={"a": "c"}))
        (review,) = server.seen["/"]
        assert not {"uid", "resourceVersion"} & review["request"]["object"]["metadata"].keys()


async def test_a_binding_and_an_eviction_are_created(ask: HookAsker) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await ask.must("POST", pods, POD)
    binding = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}
    bound, evicted = await asked(
        ask, [("POST", f"{pods}/p/binding", binding), ("POST", f"{pods}/p/eviction", eviction)]
    )
    assert (bound["operation"], bound["kind"]["kind"]) == ("CREATE", "Binding")
    assert bound["object"]["target"]["name"] == "n"
    assert evicted["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert (evicted["subResource"], evicted["oldObject"]) == ("eviction", None)


async def test_a_connection_has_its_options(ask: HookAsker) -> None:
    pods = "/api/v1/namespaces/default/pods/p"
    path = f"{pods}/exec?command=ls&command=-l&stdout=true&container=c"
    run, forwarded, passed = await asked(
        ask,
        [
            ("POST", path, None),
            ("POST", f"{pods}/portforward?ports=80", None),
            ("GET", "/api/v1/nodes/n/proxy/pods/", None),
        ],
    )
    assert (run["operation"], run["options"]) == ("CONNECT", None)
    assert run["object"] == {
        "kind": "PodExecOptions",
        "apiVersion": "v1",
        "stdout": True,
        "container": "c",
        "command": ["ls", "-l"],
    }
    assert forwarded["object"]["ports"] == [80]
    assert passed["object"] == {"kind": "NodeProxyOptions", "apiVersion": "v1", "path": "/pods/"}
    assert passed["kind"]["kind"] == "NodeProxyOptions"


async def test_a_review_that_nobody_stores_is_created_too(ask: HookAsker) -> None:
    review = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    token = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
    account = "/api/v1/namespaces/default/serviceaccounts/default/token"
    seen, bound = await asked(ask, [("POST", path, review), ("POST", account, token)])
    assert (seen["operation"], seen["kind"]["kind"]) == ("CREATE", "SelfSubjectAccessReview")
    assert (bound["subResource"], bound["kind"]["kind"]) == ("token", "TokenRequest")


async def test_a_namespace_is_in_itself(ask: HookAsker) -> None:
    namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n"}}
    made, gone = await asked(
        ask, [("POST", "/api/v1/namespaces", namespace), ("DELETE", "/api/v1/namespaces/n", None)]
    )
    assert (made["name"], made["namespace"]) == ("n", "n")
    assert gone["namespace"] == "n"


async def test_an_equivalent_resource_is_converted(ask: HookAsker) -> None:
    event = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        "reason": "R",
    }
    (seen,) = await asked(
        ask,
        [("POST", "/api/v1/namespaces/default/events", event)],
        [rule("events.k8s.io", "v1", "events")],
    )
    assert seen["kind"] == {"group": "events.k8s.io", "version": "v1", "kind": "Event"}
    assert seen["resource"]["group"] == "events.k8s.io"
    assert seen["requestKind"] == {"group": "", "version": "v1", "kind": "Event"}
    assert seen["object"]["regarding"]["name"] == "p"
    assert seen["object"]["apiVersion"] == "events.k8s.io/v1"


async def test_exact_rules_name_the_version_of_the_request(ask: HookAsker) -> None:
    event = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
    }
    seen = await asked(
        ask,
        [("POST", "/api/v1/namespaces/default/events", event)],
        [rule("events.k8s.io", "v1", "events")],
        matchPolicy="Exact",
    )
    assert seen == []


async def test_the_configuration_of_admission_is_not_asked_about(ask: HookAsker) -> None:
    other = configuration("Mutating", "o")
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    assert await asked(ask, [("POST", path, other)]) == []


async def test_selectors(ask: HookAsker) -> None:
    labelled = {**config_map("l"), "metadata": {"name": "l", "labels": {"x": "y"}}}
    requests: list[tuple[str, str, Any]] = [
        ("POST", MAPS, config_map("m")),
        ("POST", MAPS, labelled),
        ("PUT", f"{MAPS}/l", config_map("l")),
        ("POST", MAPS.replace("default", "kube-system"), labelled),
    ]
    seen = await asked(
        ask,
        requests,
        objectSelector={"matchLabels": {"x": "y"}},
        namespaceSelector={
            "matchExpressions": [
                {
                    "key": "kubernetes.io/metadata.name",
                    "operator": "NotIn",
                    "values": ["kube-system"],
                }
            ]
        },
    )
    # The old object's labels count as well.
    assert [(item["operation"], item["name"]) for item in seen] == [
        ("CREATE", "l"),
        ("UPDATE", "l"),
    ]


async def test_match_conditions(ask: HookAsker) -> None:
    conditions = [
        {"name": "not-me", "expression": "request.userInfo.username == 'admin'"},
        {"name": "named", "expression": "object.metadata.name.startsWith('a')"},
        {
            "name": "may",
            "expression": "authorizer.requestResource.check('create').allowed()",
        },
    ]
    seen = await asked(
        ask,
        [("POST", MAPS, config_map("a")), ("POST", MAPS, config_map("b"))],
        matchConditions=conditions,
    )
    assert [item["name"] for item in seen] == ["a"]
