"""RBAC against the real server: what bindings give and take, and nobody giving what he has not."""

from __future__ import annotations

from typing import Any

from trireme.kit.env import Env
from trireme.testing import virtual

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"


def role(name: str, *rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    version = "rbac.authorization.k8s.io/v1"
    return {"kind": kind, "apiVersion": version, "metadata": {"name": name}, "rules": list(rules)}


def rights(verbs: str, resources: str, *names: str, group: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": list(names)} if names else {})


def binding(name: str, ref: str, user: str, kind: str = "RoleBinding") -> dict[str, Any]:
    ref_kind, _, ref_name = ref.partition("/")
    return {
        "kind": kind,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": ref_kind,
            "name": ref_name,
        },
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }


@virtual.test()
async def test_a_refusal_says_who_what_and_where(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        bob = ask.as_user("bob")
        status, answer = await bob("GET", PODS)
        assert (status, answer["reason"]) == (403, "Forbidden")
        assert answer["message"] == (
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the '
            'namespace "default"'
        )
        _, answer = await bob("DELETE", "/apis/apps/v1/namespaces/x/deployments/web")
        assert answer["message"] == (
            'deployments.apps "web" is forbidden: User "bob" cannot delete resource "deployments" '
            'in API group "apps" in the namespace "x"'
        )
        _, answer = await bob("GET", "/metrics")
        assert answer["message"] == 'forbidden: User "bob" cannot get path "/metrics"'


@virtual.test()
async def test_a_binding_counts_at_once_and_until_it_is_gone(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        bob = ask.as_user("bob")
        assert (await bob("GET", PODS))[0] == 403
        bindings = f"{RBAC}/namespaces/default/rolebindings"
        await ask.must("POST", bindings, binding("bob", "ClusterRole/view", "bob"))
        assert (await bob("GET", PODS))[0] == 200
        assert (await bob("GET", "/api/v1/namespaces/kube-system/pods"))[0] == 403
        assert (await bob("GET", "/api/v1/namespaces/default/secrets"))[0] == 403
        await ask.must("DELETE", f"{bindings}/bob")
        assert (await bob("GET", PODS))[0] == 403


@virtual.test()
async def test_a_role_counts_from_when_it_is_there(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        bob = ask.as_user("bob")
        where = f"{RBAC}/namespaces/default"
        await ask.must("POST", f"{where}/rolebindings", binding("bob", "Role/reader", "bob"))
        _, answer = await bob("GET", PODS)
        assert answer["message"].endswith(
            ': RBAC: role.rbac.authorization.k8s.io "reader" not found'
        )
        await ask.must("POST", f"{where}/roles", role("reader", rights("list", "pods")))
        assert (await bob("GET", PODS))[0] == 200


@virtual.test()
async def test_rights_to_one_name(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        bob = ask.as_user("bob")
        where = f"{RBAC}/namespaces/default"
        named = role("one", rights("get list update", "configmaps", "mine"))
        await ask.must("POST", f"{where}/roles", named)
        await ask.must("POST", f"{where}/rolebindings", binding("bob", "Role/one", "bob"))
        maps = "/api/v1/namespaces/default/configmaps"
        assert (await bob("GET", f"{maps}/mine"))[0] == 404
        assert (await bob("GET", f"{maps}/other"))[0] == 403
        assert (await bob("GET", maps))[0] == 403
        assert (await bob("GET", f"{maps}?fieldSelector=metadata.name%3Dmine"))[0] == 200


@virtual.test()
async def test_nobody_grants_what_he_has_not(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        where = f"{RBAC}/namespaces/default"
        bindings = f"{where}/rolebindings"
        await ask.must("POST", bindings, binding("jane", "ClusterRole/admin", "jane"))
        jane = ask.as_user("jane")
        assert (await jane("POST", f"{where}/roles", role("a", rights("get", "secrets"))))[0] == 201
        status, answer = await jane("POST", f"{where}/roles", role("b", rights("get", "nodes")))
        assert status == 403
        assert answer["message"] == (
            'roles.rbac.authorization.k8s.io "b" is forbidden: user "jane" '
            '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not '
            'currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}'
        )
        wider = role("a", rights("get", "secrets nodes"))
        assert (await jane("PUT", f"{where}/roles/a", wider))[0] == 403
        assert (await jane("POST", bindings, binding("v", "ClusterRole/view", "bob")))[0] == 201
        root = binding("r", "ClusterRole/cluster-admin", "bob")
        assert (await jane("POST", bindings, root))[0] == 403
        missing = binding("m", "ClusterRole/nope", "bob")
        assert (await jane("POST", bindings, missing))[0] == 404


@virtual.test()
async def test_escalate_and_bind_let_one_grant_more(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        group = "rbac.authorization.k8s.io"
        manager = role(
            "manager",
            rights("create escalate", "clusterroles", group=group),
            rights("create", "clusterrolebindings", group=group),
            rights("bind", "clusterroles", "cluster-admin", group=group),
            kind="ClusterRole",
        )
        bound = binding("m", "ClusterRole/manager", "meg", kind="ClusterRoleBinding")
        await ask.must("POST", f"{RBAC}/clusterroles", manager)
        await ask.must("POST", f"{RBAC}/clusterrolebindings", bound)
        meg = ask.as_user("meg")
        wide = role("wide", rights("*", "*"), kind="ClusterRole")
        assert (await meg("POST", f"{RBAC}/clusterroles", wide))[0] == 201
        for name, status in (("cluster-admin", 201), ("edit", 403)):
            expected = binding(f"x-{name}", f"ClusterRole/{name}", "x", kind="ClusterRoleBinding")
            assert (await meg("POST", f"{RBAC}/clusterrolebindings", expected))[0] == status


@virtual.test()
async def test_anonymous_reads_health_and_version_only(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        nobody = ask.unknown()
        assert (await nobody("GET", "/version"))[0] == 200
        status, answer = await nobody("GET", "/apis")
        assert status == 403
        assert answer["message"] == ('forbidden: User "system:anonymous" cannot get path "/apis"')
