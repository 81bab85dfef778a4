"""Endpoints made by hand become EndpointSlices: what, when, and with how few writes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.core.v1.endpoints import EndpointSubset
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.controllers.network import plan_mirroring
from trireme.controllers.network.plan_slices import Create, Delete, Update
from trireme.machinery import meta
from trireme.testing import virtual


def endpoints(*subsets: dict[str, Any], **metadata: Any) -> core.Endpoints:
    name = {"name": "web", "namespace": "default", "uid": "u"}
    return msgspec.convert({"metadata": name | metadata, "subsets": list(subsets)}, core.Endpoints)


def ips(*texts: str) -> list[dict[str, str]]:
    return [{"ip": text} for text in texts]


def stored(found: plan_mirroring.Mirrored, before: list[EndpointSlice]) -> list[EndpointSlice]:
    """The slices after the actions."""
    there = {item.metadata.name: item for item in before}
    for action in found.actions:
        match action:
            case Create(item):
                name = f"web-{len(there)}"
                metadata = msgspec.structs.replace(item.metadata, name=name)
                there[name] = msgspec.structs.replace(item, metadata=metadata)
            case Update(item):
                there[item.metadata.name] = item
            case Delete(name):
                del there[name]
    return list(there.values())


def listed(slices: list[EndpointSlice]) -> list[tuple[str, list[int], dict[str, bool]]]:
    """Family, ports, and each address with whether it is ready."""
    return sorted(
        (
            item.addressType,
            [port.port or 0 for port in item.ports],
            {e.addresses[0]: bool(e.conditions.ready) for e in item.endpoints},
        )
        for item in slices
    )


HTTP = [{"name": "http", "port": 80, "protocol": "TCP"}]
BOTH = [*HTTP, {"name": "https", "port": 443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("subsets", "expected"),
    [
        ([], []),
        (
            [{"addresses": ips("10.0.0.1"), "notReadyAddresses": ips("10.0.0.2"), "ports": HTTP}],
            [("IPv4", [80], {"10.0.0.1": True, "10.0.0.2": False})],
        ),
        (
            [{"addresses": ips("10.0.0.1", "fd00::1"), "ports": HTTP}],
            [("IPv4", [80], {"10.0.0.1": True}), ("IPv6", [80], {"fd00::1": True})],
        ),
        # Ports that are served at the same addresses share a slice.
        (
            [
                {"addresses": ips("10.0.0.1"), "ports": HTTP},
                {"addresses": ips("10.0.0.1"), "ports": BOTH[1:]},
            ],
            [("IPv4", [80, 443], {"10.0.0.1": True})],
        ),
        (
            [{"addresses": ips("10.0.0.1"), "ports": HTTP}, {"addresses": ips("10.0.0.2")}],
            [("IPv4", [], {"10.0.0.2": True}), ("IPv4", [80], {"10.0.0.1": True})],
        ),
        # Not ready outdoes ready; old forms of addresses are read.
        (
            [
                {"addresses": ips("10.0.0.1"), "ports": HTTP},
                {"notReadyAddresses": ips("10.0.0.1", "010.0.0.02"), "ports": HTTP},
            ],
            [("IPv4", [80], {"10.0.0.1": False, "10.0.0.2": False})],
        ),
        (
            [{"addresses": ips("::ffff:10.0.0.1"), "ports": HTTP}],
            [("IPv4", [80], {"10.0.0.1": True})],
        ),
    ],
)
def test_each_family_and_set_of_ports_has_a_slice(
    subsets: list[dict[str, Any]], expected: list[Any]
) -> None:
    source = endpoints(*subsets)
    slices = stored(plan_mirroring.plan(source, []), [])
    assert listed(slices) == expected
    assert plan_mirroring.plan(source, slices).actions == []


def test_a_slice_carries_labels_and_annotations_and_belongs_to_the_endpoints() -> None:
    source = endpoints(
        {"addresses": ips("10.0.0.1"), "ports": HTTP},
        labels={"app": "x", "kubernetes.io/service-name": "lie"},
        annotations={
            "note": "y",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "endpoints.kubernetes.io/last-change-trigger-time": "2030-01-01T00:00:00Z",
        },
    )
    (action,) = plan_mirroring.plan(source, []).actions
    assert isinstance(action, Create)
    metadata = action.slice.metadata
    assert metadata.generateName == "web-"
    assert metadata.labels == {
        "app": "x",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert metadata.annotations == {"note": "y"}
    (owner,) = metadata.ownerReferences
    assert (owner.kind, owner.uid, owner.controller) == ("Endpoints", "u", True)


def test_what_would_be_deleted_is_written_over() -> None:
    slices = stored(
        plan_mirroring.plan(endpoints({"addresses": ips("10.0.0.1"), "ports": HTTP}), []), []
    )
    other = endpoints({"addresses": ips("10.0.0.1"), "ports": BOTH})
    (action,) = plan_mirroring.plan(other, slices).actions
    assert isinstance(action, Update)
    assert (action.slice.metadata.name, len(action.slice.ports)) == ("web-0", 2)


def test_slices_of_deleted_endpoints_of_that_name_are_written_anew() -> None:
    subset = {"addresses": ips("10.0.0.1"), "ports": HTTP}
    slices = stored(plan_mirroring.plan(endpoints(subset), []), [])
    (action,) = plan_mirroring.plan(endpoints(subset, uid="another"), slices).actions
    assert isinstance(action, Update)
    assert action.slice.metadata.ownerReferences[0].uid == "another"


def test_invalid_addresses_and_those_beyond_the_limit_are_left_out() -> None:
    source = endpoints(
        {
            "addresses": ips("nonsense", "10.0.0.1", "10.0.0.2"),
            "notReadyAddresses": ips("10.0.0.3"),
            "ports": HTTP,
        }
    )
    found = plan_mirroring.plan(source, [], limit=2)
    assert (found.invalid, found.skipped) == (1, 1)
    assert listed(stored(found, [])) == [("IPv4", [80], {"10.0.0.1": True, "10.0.0.2": True})]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, True),
        ({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, False),
        ({"labels": {"endpointslice.kubernetes.io/skip-mirror": "yes"}}, True),
        ({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}, False),
    ],
)
def test_which_endpoints_are_mirrored(metadata: dict[str, Any], expected: bool) -> None:
    assert plan_mirroring.mirrors(endpoints(**metadata)) is expected


subset = st.builds(
    lambda ready, waiting, ports: {
        "addresses": ips(*(f"10.0.0.{n}" for n in ready)),
        "notReadyAddresses": ips(*(f"10.0.0.{n}" for n in waiting)),
        "ports": [{"name": f"p{n}", "port": n, "protocol": "TCP"} for n in sorted(ports)],
    },
    st.sets(st.integers(1, 5)),
    st.sets(st.integers(1, 5)),
    st.sets(st.integers(1, 3), min_size=1),
)


def pairs(subsets: list[EndpointSubset]) -> dict[tuple[str, str], bool]:
    """The meaning of subsets: which address serves which port, and whether it is ready."""
    found: dict[tuple[str, str], bool] = {}
    for item in subsets:
        for port in [port.name for port in item.ports]:
            for ready, addresses in ((True, item.addresses), (False, item.notReadyAddresses)):
                for address in addresses:
                    key = (address.ip, port)
                    found[key] = found.get(key, True) and ready
    return found


@given(before=st.lists(subset, max_size=4), after=st.lists(subset, max_size=4))
def test_slices_mean_what_the_endpoints_mean(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    slices = stored(plan_mirroring.plan(endpoints(*before), []), [])
    source = endpoints(*after)
    slices = stored(plan_mirroring.plan(source, slices), slices)
    observed = {
        (endpoint.addresses[0], port): bool(endpoint.conditions.ready)
        for item in slices
        for port in [port.name or "" for port in item.ports]
        for endpoint in item.endpoints
    }
    assert observed == pairs(source.subsets)
    assert plan_mirroring.plan(source, slices).actions == []


@virtual.test()
async def test_endpoints_come_change_and_go(env):
    async with harness.world(env) as w:

        def slices() -> list[EndpointSlice]:
            return [
                item
                for item in w.list(EndpointSlice)
                if item.metadata.labels["kubernetes.io/service-name"] == "web"
            ]

        spec = {"ports": [{"port": 80}]}
        manifest = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        await w.client.create(msgspec.convert(manifest, core.Service))
        subset = {"addresses": ips("192.0.2.1"), "ports": HTTP}
        await w.client.create(endpoints(subset))
        await w.until(lambda: listed(slices()) == [("IPv4", [80], {"192.0.2.1": True})])
        assert not await w.quiet()
        # A slice that somebody deletes or changes is put right.
        (mirror,) = slices()
        await w.client.delete(EndpointSlice, mirror.metadata.name, "default")
        await w.until(lambda: slices() and slices()[0].metadata.uid != mirror.metadata.uid)
        change = {"subsets": [{"addresses": ips("192.0.2.2"), "ports": HTTP}]}
        await w.client.patch(core.Endpoints, "web", "default", change)
        await w.until(lambda: listed(slices()) == [("IPv4", [80], {"192.0.2.2": True})])
        # With a selector the Service has slices of its own, and the mirror goes.
        selector = {"spec": {"selector": {"app": "none"}}}
        await w.client.patch(core.Service, "web", "default", selector)
        await w.until(
            lambda: (
                {s.metadata.labels["endpointslice.kubernetes.io/managed-by"] for s in slices()}
                == {"endpointslice-controller.k8s.io"}
            )
        )
        await w.client.delete(core.Service, "web", "default", meta.DeleteOptions())
        await w.until(lambda: not slices())
        # Endpoints without a Service are not mirrored; it is made up for when the Service comes.
        await w.client.create(endpoints(subset))
        await w.quiet()
        assert not slices()
        await w.client.create(msgspec.convert(manifest, core.Service))
        await w.until(lambda: len(slices()) == 1)
        await w.client.delete(core.Endpoints, "web", "default")
        await w.until(lambda: not slices())
