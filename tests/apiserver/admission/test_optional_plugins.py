"""The plugins that are off by default: each request's outcome is that of upstream's kube-apiserver.

PodTolerationRestriction refuses with 403 where upstream's refusal is a 500.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.apiserver import hook_server
from tests.apiserver.conftest import Asker

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission import order
from trireme.apiserver.admission.plugins import node_declared_features
from trireme.apiserver.admission.plugins.event_rate_limit import Buckets, Limit
from trireme.apiserver.settings.admission import Admission
from trireme.machinery import errors
from trireme.testing import control_plane

MERGE = {"content-type": "application/merge-patch+json"}
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/{}/configmaps"


@asynccontextmanager
async def serve(*enabled: str, disabled: str = "", **configured: Any) -> AsyncIterator[Asker]:
    """An API server with plugins switched on, and their configurations."""
    settings = Admission(
        frozenset(enabled),
        frozenset([disabled] if disabled else []),
        {name: msgspec.json.encode(value) for name, value in configured.items()},
    )
    async with control_plane.api_server(admission=settings) as server:
        yield Asker(server)


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    base = {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {**base, **spec},
    }


def config_map(name: str, **meta: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **meta}}


async def namespace(ask: Asker, name: str, **annotations: str) -> None:
    given = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
    given["metadata"] = {"name": name, "annotations": annotations}
    await ask.must("POST", "/api/v1/namespaces", given)
    await control_plane.account(ask.server, name, "default")


async def refusal(ask: Asker, path: str, body: Any) -> tuple[int, str]:
    status, got = await ask("POST", path, body)
    return status, got["message"]


async def test_always_deny_denies_what_the_server_itself_needs() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with serve("AlwaysDeny"):
            raise AssertionError
    text = "admission control is denying all modifications"
    assert caught.group_contains(errors.ApiError, match=text)


async def test_a_namespace_is_made_for_what_comes_into_it() -> None:
    async with serve("NamespaceAutoProvision") as ask:
        await ask.must("POST", MAPS.format("fresh"), config_map("m"))
        await ask.must("GET", "/api/v1/namespaces/fresh")
        status, _ = await ask("POST", f"{MAPS.format('other')}?dryRun=All", config_map("m"))
        assert status == 404


async def test_a_namespace_has_to_exist() -> None:
    async with serve("NamespaceExists", disabled="NamespaceLifecycle") as ask:
        assert await refusal(ask, MAPS.format("none"), config_map("m")) == (
            404,
            'namespaces "none" not found',
        )


async def test_images_are_always_pulled() -> None:
    async with serve("AlwaysPullImages") as ask:
        never = [{"name": "c", "image": "i:1", "imagePullPolicy": "Never"}]
        volume = {"name": "v", "image": {"reference": "r", "pullPolicy": "Never"}}
        made = await ask.must("POST", PODS, pod(containers=never, volumes=[volume]))
        assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"
        assert made["spec"]["volumes"][0]["image"]["pullPolicy"] == "Always"


async def test_required_anti_affinity_is_between_hosts() -> None:
    def anti(key: str) -> dict[str, Any]:
        term = {"topologyKey": key, "labelSelector": {}}
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}

    async with serve("LimitPodHardAntiAffinityTopology") as ask:
        assert await refusal(ask, PODS, pod(affinity=anti("zone"))) == (
            403,
            'pods "p" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has '
            "TopologyKey zone but only key kubernetes.io/hostname is allowed",
        )
        await ask.must("POST", PODS, pod(affinity=anti("kubernetes.io/hostname")))


async def test_devices_taints_are_tolerated() -> None:
    async with serve("ExtendedResourceToleration") as ask:
        limits = {"limits": {"x.com/b": "1", "x.com/a": "1", "cpu": "1"}}
        containers = [{"name": "c", "image": "i", "resources": limits}]
        made = await ask.must("POST", PODS, pod(containers=containers))
        own = [item["key"] for item in made["spec"]["tolerations"] if "x.com" in item["key"]]
        assert own == ["x.com/a", "x.com/b"]


async def test_no_service_takes_addresses() -> None:
    path = "/api/v1/namespaces/default/services"
    external = {"externalIPs": ["1.2.3.4"]}
    service = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}}
    text = 'services "s" is forbidden: Use of external IPs is denied by admission control'
    async with serve("DenyServiceExternalIPs") as ask:
        taking = {**service, "spec": {"ports": [{"port": 80}], **external}}
        assert await refusal(ask, path, taking) == (403, text)
        await ask.must("POST", path, {**service, "spec": {"ports": [{"port": 80}]}})
        status, got = await ask("PATCH", f"{path}/s", {"spec": external}, MERGE)
        assert (status, got["message"]) == (403, text)


async def test_a_namespaces_node_selector() -> None:
    selectors = {"clusterDefaultNodeSelector": "env=def", "w": "env=def,other=x"}
    async with serve(
        "PodNodeSelector", PodNodeSelector={"podNodeSelectorPluginConfig": selectors}
    ) as ask:
        await namespace(ask, "a", **{"scheduler.alpha.kubernetes.io/node-selector": "env=a"})
        await namespace(ask, "w")
        path = "/api/v1/namespaces/{}/pods"
        made = await ask.must("POST", path.format("a"), pod())
        assert made["spec"]["nodeSelector"] == {"env": "a"}
        made = await ask.must("POST", PODS, pod())
        assert made["spec"]["nodeSelector"] == {"env": "def"}
        wrong = pod("q", nodeSelector={"env": "b"})
        assert await refusal(ask, path.format("a"), wrong) == (
            403,
            'pods "q" is forbidden: pod node label selector conflicts with its namespace node '
            "label selector",
        )
        wrong = pod(nodeSelector={"z": "1"})
        assert await refusal(ask, path.format("w"), wrong) == (
            403,
            'pods "p" is forbidden: pod node label selector labels conflict with its namespace '
            "whitelist",
        )


async def test_a_namespaces_tolerations() -> None:
    defaults = "scheduler.alpha.kubernetes.io/defaultTolerations"
    allowed = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
    configured = {
        "apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1",
        "kind": "Configuration",
        "default": [{"key": "cd", "operator": "Exists"}],
        "whitelist": [
            {"key": "cd", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists"},
        ],
    }
    text = (
        "pod tolerations (possibly merged with namespace default tolerations) conflict with its "
        "{} whitelist"
    )
    async with serve("PodTolerationRestriction", PodTolerationRestriction=configured) as ask:
        made = await ask.must("POST", PODS, pod())
        assert made["spec"]["tolerations"][-1] == {"key": "cd", "operator": "Exists"}
        other = pod("q", tolerations=[{"key": "z", "operator": "Exists"}])
        assert await refusal(ask, PODS, other) == (403, text.format("cluster"))
        annotations = {
            defaults: json.dumps([{"key": "k", "operator": "Exists"}]),
            allowed: json.dumps([{"key": "other"}]),
        }
        await namespace(ask, "a", **annotations)
        assert await refusal(ask, "/api/v1/namespaces/a/pods", pod()) == (
            403,
            text.format("namespace"),
        )
        await namespace(ask, "bad", **{defaults: "x"})
        assert (await refusal(ask, "/api/v1/namespaces/bad/pods", pod()))[0] == 403


async def test_so_many_events_a_second() -> None:
    configured = {
        "apiVersion": "eventratelimit.admission.k8s.io/v1alpha1",
        "kind": "Configuration",
        "limits": [
            {"type": "Server", "qps": 1, "burst": 2},
            {"type": "User", "qps": 1, "burst": 1},
        ],
    }

    def event(name: str) -> dict[str, Any]:
        involved = {"kind": "Pod", "namespace": "default", "name": "p"}
        meta = {"name": name}
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": meta,
            "involvedObject": involved,
        }

    path = "/api/v1/namespaces/default/events"
    async with serve("EventRateLimit", EventRateLimit=configured) as ask:
        await ask.must("POST", path, event("a"))
        assert await refusal(ask, path, event("b")) == (
            429,
            "Too many requests: limit reached on type User for key admin",
        )
        assert await refusal(ask, path, event("c")) == (
            429,
            "Too many requests: [limit reached on type Server for key , limit reached on type User "
            "for key admin]",
        )


def test_buckets_fill_again_and_only_so_many_are_kept() -> None:
    buckets = Buckets(Limit("User", qps=2, burst=2, cacheSize=2))
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("a", 0.5) for _ in range(2)] == [True, False]
    buckets.take("b", 0.5)
    buckets.take("c", 0.5)
    # The one that was used longest ago is forgotten.
    assert [buckets.take("a", 0.5) for _ in range(2)] == [True, True]


async def test_owners_need_rights() -> None:
    async with serve("OwnerReferencesPermissionEnforcement") as ask:
        rules = [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "verbs": ["create", "update", "patch", "get"],
            }
        ]
        group = "rbac.authorization.k8s.io"
        path = f"/apis/{group}/v1/clusterrole"
        await ask.must("POST", f"{path}s", {"metadata": {"name": "r"}, "rules": rules})
        binding = {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "r"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "u"}],
        }
        await ask.must("POST", f"{path}bindings", binding)
        user = ask.as_user("u")
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"}
        maps = MAPS.format("default")
        await user.must("POST", maps, config_map("m", ownerReferences=[owner]))
        blocking = {**owner, "blockOwnerDeletion": True}
        unknown = {**blocking, "apiVersion": "x.io/v1", "kind": "Thing"}
        prefix = 'configmaps "n" is forbidden: cannot set blockOwnerDeletion '
        assert await refusal(user, maps, config_map("n", ownerReferences=[blocking])) == (
            403,
            f"{prefix}if an ownerReference refers to a resource you can't set finalizers on: , "
            "<nil>",
        )
        assert await refusal(user, maps, config_map("n", ownerReferences=[unknown])) == (
            403,
            f"{prefix}in this case because cannot find RESTMapping for APIVersion x.io/v1 Kind "
            'Thing: no matches for kind "Thing" in version "x.io/v1"',
        )
        status, got = await user("PATCH", f"{maps}/m", {"metadata": {"ownerReferences": []}}, MERGE)
        assert (status, got["message"]) == (
            403,
            'configmaps "m" is forbidden: cannot set an ownerRef on a resource you can\'t delete: '
            ", <nil>",
        )
        await ask.must("POST", maps, config_map("adm", ownerReferences=[blocking]))


async def test_another_server_says_which_images_run() -> None:
    asked: list[dict[str, Any]] = []

    async def review(request: web.Request) -> web.StreamResponse:
        given = await request.json()
        asked.append(given)
        images = [item["image"] for item in given["spec"]["containers"]]
        status = {"allowed": "bad" not in images, "reason": "no", "auditAnnotations": {"k": "v"}}
        return web.json_response({**given, "status": status})

    async with hook_server.serve({"/images": review}) as hook:
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "c",
                    "cluster": {
                        "server": hook.client("/images")["url"],
                        "certificate-authority-data": hook.client()["caBundle"],
                    },
                }
            ],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        settings = Admission(
            frozenset({"ImagePolicyWebhook"}),
            frozenset(),
            {"ImagePolicyWebhook": b'{"imagePolicy": {"kubeConfigFile": "/k"}}'},
            lambda path: json.dumps(kubeconfig).encode(),
        )
        async with control_plane.api_server(admission=settings) as server:
            ask = Asker(server)
            annotated = pod()
            annotated["metadata"]["annotations"] = {"x.image-policy.k8s.io/a": "b", "other": "c"}
            await ask.must("POST", PODS, annotated)
            await ask.must("POST", f"{PODS}?dryRun=All", {**annotated, "metadata": {"name": "q"}})
            bad = pod("r", containers=[{"name": "c", "image": "bad"}])
            assert await refusal(ask, PODS, bad) == (
                403,
                'pods "r" is forbidden: image policy webhook backend denied one or more images: no',
            )
            # What was asked before is not asked again.
            await refusal(ask, PODS, bad)
        first = asked[0]["spec"]
        assert first == {
            "containers": [{"image": "i"}],
            "annotations": {"x.image-policy.k8s.io/a": "b"},
            "namespace": "default",
        }
        assert len(asked) == 3


@pytest.mark.parametrize(
    ("enabled", "disabled", "configured", "text"),
    [
        ({"None"}, set(), {}, 'enable-admission-plugins plugin "None" is unknown'),
        (set(), {"None"}, {}, 'disable-admission-plugins plugin "None" is unknown'),
        (set(), {"RBACEscalation"}, {}, 'disable-admission-plugins plugin "RBACEscalation"'),
        (
            {"AlwaysDeny"},
            {"AlwaysDeny"},
            {},
            "[AlwaysDeny] in enable-admission-plugins and disable-admission-plugins overlapped",
        ),
        (set(), set(), {"None": b""}, 'configuration of admission plugin "None": unknown'),
        (set(), set(), {"LimitRanger": b""}, 'admission plugin "LimitRanger": it takes none'),
        ({"EventRateLimit"}, set(), {}, "limits: Invalid value: null: must not be empty"),
        ({"ImagePolicyWebhook"}, set(), {}, '"ImagePolicyWebhook": no config specified'),
        (
            set(),
            set(),
            {"PodSecurity": b"kind: PodSecurityConfiguration\napiVersion: x/v1"},
            'no kind "PodSecurityConfiguration" is registered for version "x/v1"',
        ),
        (
            set(),
            set(),
            {
                "PodSecurity": b"kind: PodSecurityConfiguration\n"
                b"apiVersion: pod-security.admission.config.k8s.io/v1\n"
                b"defaults: {enforce: strict}"
            },
            'defaults.enforce: Invalid value: "strict": must be one of',
        ),
    ],
)
def test_what_no_server_starts_with(
    enabled: set[str], disabled: set[str], configured: dict[str, bytes], text: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        order.plugins(Admission(frozenset(enabled), frozenset(disabled), configured))
    assert text in str(caught.value)


def test_a_node_says_what_it_can_follow() -> None:
    def spec(init: str, pod: str = "1") -> PodSpec:
        return msgspec.convert(
            {
                "containers": [],
                "resources": {"requests": {"cpu": pod}},
                "initContainers": [{"name": "i", "resources": {"requests": {"cpu": init}}}],
            },
            PodSpec,
        )

    assert node_declared_features.required(spec("1"), spec("1")) == []
    assert node_declared_features.required(spec("1"), spec("2", "2")) == [
        "InPlacePodLevelResourcesVerticalScaling",
        "InPlacePodVerticalScalingInitContainers",
    ]


async def test_exemptions_and_defaults_of_pod_security() -> None:
    configured = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": {"enforce": "baseline", "enforce-version": "v1.30"},
        "exemptions": {"usernames": ["trusted"], "namespaces": ["kube-system"]},
    }
    host = pod(hostNetwork=True)
    async with serve(PodSecurity=configured) as ask:
        status, text = await refusal(ask, PODS, host)
        assert status == 403
        assert 'violates PodSecurity "baseline:v1.30": host namespaces' in text
        await control_plane.account(ask.server, "kube-system", "default")
        await ask.must("POST", "/api/v1/namespaces/kube-system/pods", host)
        trusted = ask.as_user("trusted", "system:masters")
        await trusted.must("POST", PODS, host)
