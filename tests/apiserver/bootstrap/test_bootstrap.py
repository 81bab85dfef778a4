"""What a new cluster has, and what a restart and its people make of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.bootstrap import compute, notation, objects, policy
from trireme.apiserver.bootstrap import run as bootstrap
from trireme.apiserver.settings.authentication import RequestHeader
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.testing import virtual

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLES = f"{RBAC}/clusterroles"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (
            "core|apps: pods pods/log = READ delete",
            PolicyRule(
                verbs=["get", "list", "watch", "delete"],
                apiGroups=["", "apps"],
                resources=["pods", "pods/log"],
            ),
        ),
        (
            "coordination.k8s.io: leases [a b] = get",
            PolicyRule(
                verbs=["get"],
                apiGroups=["coordination.k8s.io"],
                resources=["leases"],
                resourceNames=["a", "b"],
            ),
        ),
        ("urls /a /b/* = get", PolicyRule(verbs=["get"], nonResourceURLs=["/a", "/b/*"])),
    ],
)
def test_the_notation(line: str, rule: PolicyRule) -> None:
    assert notation.rule(line) == rule


def test_what_is_no_rule() -> None:
    with pytest.raises(ValueError, match="not a rule"):
        notation.rule("core: pods")


def test_how_much_there_is() -> None:
    assert len(policy.cluster_roles()) == 69
    assert len(policy.cluster_role_bindings()) == 50
    assert len(policy.roles()) == len(policy.role_bindings()) == 7


def test_every_binding_has_its_role() -> None:
    roles = {role.metadata.name for role in policy.cluster_roles()}
    assert {binding.roleRef.name for binding in policy.cluster_role_bindings()} <= roles
    namespaced = {(role.metadata.namespace, role.metadata.name) for role in policy.roles()}
    for binding in policy.role_bindings():
        assert (binding.metadata.namespace, binding.roleRef.name) in namespaced


def test_sums_reach_through_sums() -> None:
    roles = policy.cluster_roles()
    by_name = {role.metadata.name: role for role in roles}

    def verbs(name: str, resource: str) -> set[str]:
        found: list[PolicyRule] = policy.aggregated(by_name[name], roles)
        return {verb for rule in found if resource in rule.resources for verb in rule.verbs}

    assert verbs("view", "pods") == {"get", "list", "watch"}
    assert not verbs("view", "secrets")
    assert {"get", "create"} <= verbs("edit", "secrets")
    assert {"get", "create"} <= verbs("admin", "rolebindings") & verbs("admin", "pods")
    assert not verbs("edit", "rolebindings")


@virtual.test()
async def test_a_new_cluster(env: Env, asking: Any) -> None:
    async with asking(env, advertise=("192.0.2.1", 6443), service_cidr="10.96.0.0/12") as ask:
        assert ask.server.context.bootstrapped.is_set()
        names = [
            item["metadata"]["name"]
            for item in (await ask.must("GET", "/api/v1/namespaces"))["items"]
        ]
        assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
        classes = (await ask.must("GET", "/apis/scheduling.k8s.io/v1/priorityclasses"))["items"]
        assert {item["metadata"]["name"]: item["value"] for item in classes} == {
            "system-cluster-critical": 2_000_000_000,
            "system-node-critical": 2_000_001_000,
        }
        spec = (await ask.must("GET", "/api/v1/namespaces/default/services/kubernetes"))["spec"]
        assert spec["clusterIP"] == "10.96.0.1"
        assert spec["ports"][0]["targetPort"] == 6443
        path = "/api/v1/namespaces/default/endpoints/kubernetes"
        assert (await ask.must("GET", path))["subsets"] == [
            {
                "addresses": [{"ip": "192.0.2.1"}],
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            }
        ]
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        assert (await ask.must("GET", path))["endpoints"] == [
            {"addresses": ["192.0.2.1"], "conditions": {"ready": True}}
        ]


@virtual.test()
async def test_an_address_that_nobody_else_reaches_is_no_endpoint(env: Env, asking: Any) -> None:
    async with asking(env, advertise=("127.0.0.1", 6443)) as ask:
        assert (await ask("GET", "/api/v1/namespaces/default/endpoints/kubernetes"))[0] == 404
        assert (await ask("GET", "/api/v1/namespaces/default/services/kubernetes"))[0] == 200


@virtual.test()
async def test_a_second_start_writes_nothing(env: Env, asking: Any) -> None:
    async with asking(env, advertise=("192.0.2.1", 6443)) as ask:
        before = ask.server.context.store.revision
        await bootstrap.run(ask.server.context)
        assert ask.server.context.store.revision == before


@virtual.test()
async def test_a_restart_gives_back_what_is_missing_and_keeps_what_was_added(
    env: Env, asking: Any
) -> None:
    async with asking(env) as ask:
        extra = {"verbs": ["get"], "apiGroups": ["example.org"], "resources": ["things"]}
        role = await ask.must("GET", f"{ROLES}/system:kube-dns")
        given = role["rules"]
        role["rules"] = [extra]
        await ask.must("PUT", f"{ROLES}/system:kube-dns", role)
        guarded = await ask.must("GET", f"{ROLES}/system:kube-scheduler")
        guarded["rules"] = []
        guarded["metadata"]["annotations"][AUTOUPDATE] = "false"
        await ask.must("PUT", f"{ROLES}/system:kube-scheduler", guarded)
        await ask.must("DELETE", f"{ROLES}/view")
        await bootstrap.run(ask.server.context)
        after = (await ask.must("GET", f"{ROLES}/system:kube-dns"))["rules"]
        assert extra in after
        assert {verb for rule in after for verb in rule["verbs"]} >= set(given[0]["verbs"])
        assert not (await ask.must("GET", f"{ROLES}/system:kube-scheduler"))["rules"]
        assert (await ask.must("GET", f"{ROLES}/view"))["rules"]


@virtual.test()
async def test_a_binding_to_another_role_is_made_anew(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        path = f"{RBAC}/clusterrolebindings"
        binding = await ask.must("GET", f"{path}/system:monitoring")
        await ask.must("DELETE", f"{path}/system:monitoring")
        for key in ("uid", "resourceVersion", "creationTimestamp"):
            del binding["metadata"][key]
        binding["roleRef"]["name"] = "view"
        await ask.must("POST", path, binding)
        await bootstrap.run(ask.server.context)
        found = await ask.must("GET", f"{path}/system:monitoring")
        assert found["roleRef"]["name"] == "system:monitoring"


@virtual.test()
async def test_what_is_taken_away_comes_back(env: Env, asking: Any) -> None:
    async with asking(env, advertise=("192.0.2.1", 6443), post_start_hooks=True) as ask:
        path = "/api/v1/namespaces/default/endpoints/kubernetes"
        await ask.must("DELETE", path)
        await env.clock.sleep(bootstrap.INTERVAL + 1)
        await ask.must("GET", path)


@virtual.test()
async def test_events_go_after_their_hour(env: Env, asking: Any) -> None:
    async with asking(env, post_start_hooks=True) as ask:
        path = "/api/v1/namespaces/default/events"
        event = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        }
        made = await ask.must("POST", path, event)
        await env.clock.sleep(1800)
        made["count"] = 2
        await ask.must("PUT", f"{path}/e", made)
        await env.clock.sleep(3000)
        await ask.must("GET", f"{path}/e")
        await env.clock.sleep(800)
        assert (await ask("GET", f"{path}/e"))[0] == 404


def test_the_policy_is_fresh_each_time() -> None:
    policy.cluster_roles()[0].metadata.labels["x"] = "y"
    assert "x" not in policy.cluster_roles()[0].metadata.labels
    assert isinstance(policy.cluster_roles()[0], ClusterRole)


async def test_what_other_servers_need_to_know_is_in_kube_system(asking):
    authority = pki.new_authority("clients", 1767225600.0).certificate
    async with asking(None, client_authority=authority) as ask:
        maps = "/api/v1/namespaces/kube-system/configmaps"
        found = await ask.must("GET", f"{maps}/extension-apiserver-authentication")
        assert found["data"] == {"client-ca-file": authority.decode()}
        tracking = "kube-apiserver-legacy-service-account-token-tracking"
        since = (await ask.must("GET", f"{maps}/{tracking}"))["data"]["since"]
        assert len(since) == len("2026-01-01")


def test_what_other_servers_know_is_added_to() -> None:
    one, two = (pki.new_authority(name, 1767225600.0).certificate for name in ("one", "two"))
    header = RequestHeader(authority=two, username_headers=("X-User",), allowed_names=("b",))
    stored = objects.authentication(one, None, b"")
    stored.data["requestheader-allowed-names"] = '["a"]'
    desired = objects.authentication(two, header, two)
    found = compute.authentication(stored, desired)
    assert found is not None
    assert found.data == {
        "client-ca-file": (one + two).decode(),
        "requestheader-allowed-names": '["a","b"]',
        "requestheader-username-headers": '["X-User"]',
        "requestheader-group-headers": "[]",
        "requestheader-extra-headers-prefix": "[]",
        "requestheader-client-ca-file": two.decode(),
    }
    assert compute.authentication(found, desired) is None


def digest(item: dict[str, Any]) -> str:
    meta = item["metadata"]
    kept = {key: item.get(key) for key in ("aggregationRule", "roleRef", "subjects")}
    kept |= {"labels": meta.get("labels"), "annotations": meta.get("annotations")}
    # What is summed up is a controller's.
    kept["rules"] = None if item.get("aggregationRule") else item.get("rules")
    found = {key: value for key, value in kept.items() if value}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def test_the_policy_is_upstreams(asking: Any) -> None:
    """Digests of what kube-apiserver v1.36.2 makes, without what it was built with of a vendor's
    (tests/interop/test_answers_upstream.py compares the same with the binary)."""
    lines = (Path(__file__).parents[2] / "data" / "bootstrap_policy.txt").read_text().splitlines()
    expected = {tuple(line.split()[:3]): line.split()[3] for line in lines}
    found = {}
    async with asking(Env()) as ask:
        for plural in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
            for item in (await ask.must("GET", f"{RBAC}/{plural}"))["items"]:
                meta = item["metadata"]
                found[plural, meta.get("namespace", "-"), meta["name"]] = digest(item)
    assert found == expected
