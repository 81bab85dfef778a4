"""Our API server's answers beside upstream's own: the same requests, the same bytes.

Needs UPSTREAM_BINARIES (see ``both_servers``).
"""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

pytestmark = pytest.mark.interop

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON = {"Content-Type": "application/json"}
# What upstream's binary may carry when it is built from a vendor's fork.
VENDORS = (
    "system:openshift:",
    "system:controller:service-ca-cert-publisher",
    "endpointslices/restricted",
)
# Paths of groups, versions and kinds that are not served, and of parts that objects do not have.
NOT_THERE = (
    ("GET", "/apis/nope.example.com/v1/things"),
    ("POST", "/apis/nope.example.com/v1/namespaces/default/things"),
    ("DELETE", "/apis/nope.example.com/v1/things/a"),
    ("GET", "/apis/nope.example.com/v1"),
    ("GET", "/apis/nope.example.com"),
    ("GET", "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations"),
    ("GET", "/apis/apps/v1/things"),
    ("GET", "/apis/apps/v9/deployments"),
    ("GET", "/apis/apps/v9"),
    ("PUT", "/apis/apps/v1/things/a"),
    ("GET", "/apis/apiextensions.k8s.io/v1/things"),
    ("GET", "/apis/apiregistration.k8s.io/v9/things"),
    ("GET", "/api/v2"),
    ("GET", "/api/v1/things"),
    ("GET", "/api/v1/namespaces/default/nodes"),
    ("GET", "/api/v1/namespaces/default/pods/a/part"),
    ("GET", "/apis/example.com/v1/things"),
    ("GET", "/apis/example.com/v9/gadgets"),
    ("GET", "/apis/example.com/v9"),
    ("GET", "/apis/example.com/v1/namespaces/default/gadgets"),
    ("GET", "/apis/example.com/v1/namespaces/default/gadgets/a"),
    ("GET", "/apis/example.com/v1/widgets/a"),
    ("POST", "/apis/example.com/v1/widgets"),
    ("GET", "/apis/example.com/v1/gadgets/a"),
    ("GET", "/apis/example.com/v1/gadgets/a/part"),
    ("PATCH", "/apis/example.com/v1/gadgets/a/part"),
    ("GET", "/apis/example.com/v1/gadgets/a/status"),
)

REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
AUTHENTICATION = "authentication.k8s.io"
# What a service account may: verb, group, resources, names.
RIGHTS = (
    ("impersonate", "", ["users"], ["old"]),
    ("impersonate", "", ["groups"], ["devs"]),
    ("impersonate", "", ["serviceaccounts"], ["old"]),
    ("impersonate", AUTHENTICATION, ["uids", "userextras/scopes"], []),
    ("impersonate:user-info", AUTHENTICATION, ["users"], ["joe", "system:anonymous"]),
    ("impersonate:user-info", AUTHENTICATION, ["groups"], ["devs", "a", "b", "c", "d"]),
    ("impersonate:user-info", AUTHENTICATION, ["userextras/acme.io/x"], ["1"]),
    ("impersonate:serviceaccount", AUTHENTICATION, ["serviceaccounts"], ["new"]),
    ("impersonate:arbitrary-node", AUTHENTICATION, ["nodes"], ["n2"]),
    ("impersonate:associated-node", AUTHENTICATION, ["nodes"], []),
    ("impersonate-on:user-info:create", AUTHENTICATION, ["selfsubjectreviews"], []),
    ("impersonate-on:user-info:list", "", ["nodes"], []),
    ("impersonate-on:serviceaccount:create", AUTHENTICATION, ["selfsubjectreviews"], []),
    ("impersonate-on:arbitrary-node:create", AUTHENTICATION, ["selfsubjectreviews"], []),
    ("impersonate-on:associated-node:create", AUTHENTICATION, ["selfsubjectreviews"], []),
)
IMPERSONATIONS: tuple[dict[str, Any], ...] = (
    {"User": "joe"},
    {"User": "joe", "Group": ["devs"]},
    {"User": "joe", "Group": ["a", "b", "c", "d"]},
    {"User": "joe", "Group": ["a", "b", "c", "e"]},
    {"User": "joe", "Group": ["ops"]},
    {"User": "joe", "Group": ["system:masters"]},
    {"User": "joe", "Group": [""]},
    {"User": "joe", "Uid": "7"},
    {"User": "joe", "Extra-Scopes": "a"},
    {"User": "joe", "Extra-Acme.io%2fx": "1"},
    {"User": "joe", "Extra-Acme.io%2fx": "2"},
    {"User": "old"},
    {"User": "old", "Group": ["devs"]},
    {"User": "old", "Group": ["ops"]},
    {"User": "old", "Uid": "7", "Extra-Scopes": ["a", "b"]},
    {"User": "old", "Extra-Other": "a"},
    {"User": "other"},
    {"User": "system:anonymous"},
    {"User": "system:serviceaccount:default:new"},
    {"User": "system:serviceaccount:default:new", "Group": ["devs"]},
    {"User": "system:serviceaccount:default:old"},
    {"User": "system:serviceaccount:default:other"},
    {"User": "system:node:n1"},
    {"User": "system:node:n2"},
    {"User": "system:node:n3"},
    {"User": "system:node:n2", "Group": ["devs"]},
    {"Group": ["g"]},
    {"Uid": "7"},
    {"Group": ["g", 'h"'], "Uid": "7", "Extra-B": ["1", "2"], "Extra-A": "3"},
)


def ask(
    server: Any, token: str, method: str, path: str, body: Any = None, headers: Any = None
) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=server.context())
    try:
        connection.putrequest(method, path)
        data = None if body is None else json.dumps(body).encode()
        sent = [("Authorization", f"Bearer {token}"), *(headers or {}).items()]
        if data is not None:
            sent += [("Content-Length", str(len(data))), *JSON.items()]
        for name, value in sent:
            for item in [value] if isinstance(value, str) else value:
                connection.putheader(name, item)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def test_the_bootstrap_policy(both_servers: Any) -> None:
    (upstream, ours), token = both_servers
    for plural in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
        assert _policy(ours, token, plural) == _policy(upstream, token, plural)


def test_what_is_not_there(both_servers: Any) -> None:
    servers, token = both_servers
    for server in servers:
        for scope, plural, kind in (
            ("Namespaced", "widgets", "Widget"),
            ("Cluster", "gadgets", "Gadget"),
        ):
            assert ask(server, token, "POST", CRDS, _definition(scope, plural, kind))[0] == 201
            path = f"/apis/example.com/v1/{plural}"
            while ask(server, token, "GET", path)[0] != 200:
                time.sleep(0.1)
    upstream, ours = servers
    for method, path in NOT_THERE:
        body = None if method == "GET" else {}
        expected = ask(upstream, token, method, path, body)
        assert expected[0] == 404
        assert ask(ours, token, method, path, body) == expected, (method, path)


def test_impersonation(both_servers: Any) -> None:
    servers, admin = both_servers
    for server in servers:
        _bind(server, admin)
    for number, expected in enumerate(IMPERSONATIONS):
        headers = {f"Impersonate-{name}": value for name, value in expected.items()}
        # Upstream remembers how somebody impersonated the last time, and complains of that.
        both = [(server, _account(server, admin, f"meg-{number}")) for server in servers]
        for method, path, body in (("POST", REVIEWS, REVIEW), ("GET", "/api/v1/nodes", None)):
            upstream, ours = (
                _reviewed(ask(server, token, method, path, body, headers)) for server, token in both
            )
            assert ours == upstream, (expected, path)


def _bind(server: Any, admin: str) -> None:
    """Gives the service accounts of the namespace RIGHTS, and makes a node."""
    rules = [
        {"verbs": [verb], "apiGroups": [group], "resources": resources, "resourceNames": named}
        for verb, group, resources, named in RIGHTS
    ]
    meta = {"metadata": {"name": "meg"}}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "meg"}
    group = {"kind": "Group", "name": "system:serviceaccounts:default"}
    for path, body in (
        ("/api/v1/nodes", {"metadata": {"name": "n1"}}),
        (f"{RBAC}/clusterroles", meta | {"rules": rules}),
        (f"{RBAC}/clusterrolebindings", meta | {"roleRef": ref, "subjects": [group]}),
    ):
        assert ask(server, admin, "POST", path, body)[0] == 201
    token = _account(server, admin, "first")
    # RBAC reads what was written from a cache.
    while ask(server, token, "POST", REVIEWS, REVIEW, {"Impersonate-User": "joe"})[0] != 201:
        time.sleep(0.1)


def _account(server: Any, admin: str, name: str) -> str:
    """The token of a new service account, bound to a pod on the node n1."""
    default, meta = "/api/v1/namespaces/default", {"metadata": {"name": name}}
    spec = {
        "serviceAccountName": name,
        "nodeName": "n1",
        "containers": [{"name": "c", "image": "i:1"}],
    }
    assert ask(server, admin, "POST", f"{default}/serviceaccounts", meta)[0] == 201
    status, _, made = ask(server, admin, "POST", f"{default}/pods", meta | {"spec": spec})
    assert status == 201, made
    uid = json.loads(made)["metadata"]["uid"]
    bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}
    path = f"{default}/serviceaccounts/{name}/token"
    answer = ask(server, admin, "POST", path, {"spec": {"boundObjectRef": bound}})
    return str(json.loads(answer[2])["status"]["token"])


def _reviewed(answer: tuple[int, str, bytes]) -> Any:
    status, media, body = answer
    found = json.loads(body)
    found.get("metadata", {}).pop("creationTimestamp", None)
    return status, media, found if status >= 400 else found.get("status")


def _policy(server: Any, token: str, plural: str) -> dict[tuple[str, str], Any]:
    """What was made at the start, without what a controller sums up later, or a vendor adds."""
    found = json.loads(ask(server, token, "GET", f"{RBAC}/{plural}")[2])["items"]
    kept = {}
    for item in found:
        meta = item["metadata"]
        if meta["name"].startswith(VENDORS):
            continue
        rules = [rule for rule in item.get("rules") or [] if not _is_vendors(rule)]
        kept[meta.get("namespace", ""), meta["name"]] = {
            "labels": meta.get("labels"),
            "annotations": meta.get("annotations"),
            "rules": None if item.get("aggregationRule") else rules,
            **{key: item.get(key) for key in ("aggregationRule", "roleRef", "subjects")},
        }
    return kept


def _is_vendors(rule: dict[str, Any]) -> bool:
    return any(name.startswith(VENDORS) for name in rule.get("resources", []))


def _definition(scope: str, plural: str, kind: str) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {"group": "example.com", "scope": scope, "names": names, "versions": [version]},
    }
