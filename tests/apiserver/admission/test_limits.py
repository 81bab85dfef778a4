"""LimitRanger, RuntimeClass and DefaultIngressClass, at the real server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.apiserver.admission.test_quota import NS, pod

from trireme.api.core.v1.selection import Toleration
from trireme.apiserver.admission.plugins import runtime_class
from trireme.kit.env import Env
from trireme.testing import virtual

NODE = "/apis/node.k8s.io/v1/runtimeclasses"
MERGE = {"content-type": "application/merge-patch+json"}


def limit_range(*limits: dict[str, Any]) -> dict[str, Any]:
    head = {"kind": "LimitRange", "apiVersion": "v1", "metadata": {"name": "l"}}
    return head | {"spec": {"limits": list(limits)}}


def asks(requests: dict[str, str] | None = None, **limits: str) -> dict[str, Any]:
    return {"resources": {"requests": requests or {}, "limits": limits}}


@virtual.test()
async def test_containers_get_defaults(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        defaults = {
            "type": "Container",
            "default": {"cpu": "500m", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m"},
        }
        await ask.must("POST", f"{NS}/limitranges", limit_range(defaults))
        made = await ask.must(
            "POST",
            f"{NS}/pods",
            pod("p", container=asks(memory="2Gi"), initContainers=[{"name": "i", "image": "i"}]),
        )
        [container], [initial] = made["spec"]["containers"], made["spec"]["initContainers"]
        assert container["resources"] == {
            "limits": {"cpu": "500m", "memory": "2Gi"},
            "requests": {"cpu": "100m", "memory": "2Gi"},
        }
        assert initial["resources"] == {
            "limits": {"cpu": "500m", "memory": "1Gi"},
            # A request for memory is a default of the limit range, made of its limit.
            "requests": {"cpu": "100m", "memory": "1Gi"},
        }
        assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c; "
            "cpu, memory request for init container i; cpu, memory limit for init container i"
        )


@pytest.mark.parametrize(
    ("item", "container", "detail"),
    [
        (
            {"type": "Container", "min": {"cpu": "1"}},
            asks({"cpu": "500m"}),
            "minimum cpu usage per Container is 1, but request is 500m",
        ),
        (
            {"type": "Container", "max": {"cpu": "1"}},
            asks({"cpu": "1"}, cpu="2"),
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"type": "Pod", "max": {"memory": "1Gi"}},
            asks({"memory": "1Gi"}),
            "maximum memory usage per Pod is 1Gi.  No limit is specified",
        ),
        (
            {"type": "Pod", "min": {"memory": "1Gi"}},
            {},
            "minimum memory usage per Pod is 1Gi.  No request is specified",
        ),
        (
            {"type": "Pod", "maxLimitRequestRatio": {"cpu": "1500m"}},
            asks({"cpu": "1"}, cpu="2"),
            "cpu max limit to request ratio per Pod is 1500m, but provided ratio is 2.000000",
        ),
        (
            {"type": "Pod", "maxLimitRequestRatio": {"cpu": "2"}},
            asks(),
            "cpu max limit to request ratio per Pod is 2, but no request is specified or request "
            "is 0",
        ),
        ({"type": "Pod", "max": {"cpu": "2"}, "min": {"cpu": "1"}}, asks(cpu="2"), ""),
    ],
)
def test_bounds(asking: Any, item: dict[str, Any], container: dict[str, Any], detail: str) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            await ask.must("POST", f"{NS}/limitranges", limit_range(item))
            status, answer = await ask("POST", f"{NS}/pods", pod("p", container=container))
            if not detail:
                assert status == 201, answer
            else:
                assert (status, answer["message"]) == (403, f'pods "p" is forbidden: {detail}')

    virtual.run(story)


@virtual.test()
async def test_claims_are_bounded(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        item = {
            "type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"},
        }  # fmt: skip
        await ask.must("POST", f"{NS}/limitranges", limit_range(item))
        for size, detail in (
            ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is "),
            ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is "),
        ):
            claim = {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "metadata": {"name": "c"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": size}},
                },
            }
            status, answer = await ask("POST", f"{NS}/persistentvolumeclaims", claim)
            assert (status, answer["message"]) == (
                403,
                f'persistentvolumeclaims "c" is forbidden: {detail}{size}',
            )


@virtual.test()
async def test_a_pod_gets_what_its_runtime_class_says(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        runtime = {
            "kind": "RuntimeClass",
            "apiVersion": "node.k8s.io/v1",
            "metadata": {"name": "vm"},
            "handler": "vm",
            "overhead": {"podFixed": {"memory": "64Mi"}},
            "scheduling": {
                "nodeSelector": {"vm": "yes"},
                "tolerations": [{"key": "vm", "operator": "Exists"}],
            },
        }
        await ask.must("POST", NODE, runtime)
        made = await ask.must(
            "POST", f"{NS}/pods", pod("p", runtimeClassName="vm", nodeSelector={"a": "b"})
        )
        assert made["spec"]["overhead"] == {"memory": "64Mi"}
        assert made["spec"]["nodeSelector"] == {"a": "b", "vm": "yes"}
        assert {"key": "vm", "operator": "Exists"} in made["spec"]["tolerations"]
        for name, spec, detail in (
            ("a", {"runtimeClassName": "no"}, 'pod rejected: RuntimeClass "no" not found'),
            (
                "b",
                {"runtimeClassName": "vm", "overhead": {"memory": "1Mi"}},
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
            ),
            (
                "c",
                {"overhead": {"memory": "1Mi"}},
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
                "Overhead",
            ),
            (
                "d",
                {"runtimeClassName": "vm", "nodeSelector": {"vm": "no"}},
                "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; "
                "pod.spec.nodeSelector[vm] = no",
            ),
        ):
            status, answer = await ask("POST", f"{NS}/pods", pod(name, **spec))
            assert (status, answer["message"]) == (403, f'pods "{name}" is forbidden: {detail}')


def test_of_two_tolerations_the_wider_stays() -> None:
    wide = Toleration(operator="Exists")
    exact = Toleration(key="a", operator="Equal", value="v", effect="NoSchedule")
    other = Toleration(key="b", operator="Equal", value="v", effect="NoSchedule")
    of_a = Toleration(key="a", operator="Exists", effect="NoSchedule")
    brief = Toleration(key="a", operator="Exists", effect="NoExecute", tolerationSeconds=5)
    briefer = Toleration(key="a", operator="Exists", effect="NoExecute", tolerationSeconds=3)
    assert runtime_class.merged([exact, other], [of_a]) == [other, of_a]
    assert runtime_class.merged([exact], [exact]) == [exact]
    assert runtime_class.merged([exact, other], [wide]) == [wide]
    assert runtime_class.merged([briefer], [brief]) == [brief]


@virtual.test()
async def test_an_ingress_gets_the_newest_default_class(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        default = {"ingressclass.kubernetes.io/is-default-class": "true"}
        for name, annotations in (("old", default), ("new", default), ("other", {})):
            await ask.must(
                "POST",
                "/apis/networking.k8s.io/v1/ingressclasses",
                {
                    "kind": "IngressClass",
                    "apiVersion": "networking.k8s.io/v1",
                    "metadata": {"name": name, "annotations": annotations},
                    "spec": {"controller": "example.com/x"},
                },
            )
            await env.clock.sleep(2)
        path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
        backend = {"service": {"name": "s", "port": {"number": 80}}}
        for name, spec, annotations, expected in (
            ("a", {}, {}, "new"),
            ("b", {"ingressClassName": "other"}, {}, "other"),
            ("c", {}, {"kubernetes.io/ingress.class": "mine"}, None),
        ):
            body = {
                "kind": "Ingress",
                "apiVersion": "networking.k8s.io/v1",
                "metadata": {"name": name, "annotations": annotations},
                "spec": {"defaultBackend": backend} | spec,
            }
            made = await ask.must("POST", path, body)
            assert made["spec"].get("ingressClassName") == expected
