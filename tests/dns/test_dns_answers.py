"""The Kubernetes DNS specification as a table: what each question gets."""

from typing import Any

import pytest

from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from trireme.dns import answer
from trireme.dns.answer import Record
from trireme.dns.zone import Zone
from trireme.machinery.meta import ObjectMeta


def service(name: str, **spec: Any) -> Service:
    return Service(metadata=ObjectMeta(name=name, namespace="shop"), spec=ServiceSpec(**spec))


def endpoints(name: str, *items: Endpoint) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            name=f"{name}-x", namespace="shop", labels={"kubernetes.io/service-name": name}
        ),
        addressType="IPv4",
        endpoints=list(items),
        ports=[EndpointPort(name="sql", protocol="TCP", port=5432)],
    )


def ready(address: str, *, hostname: str | None = None, is_ready: bool = True) -> Endpoint:
    return Endpoint(
        addresses=[address], hostname=hostname, conditions=EndpointConditions(ready=is_ready)
    )


@pytest.fixture
def zone() -> Zone:
    zone = Zone("cluster.local.")
    zone.set_namespace("shop", True)
    zone.set_service(
        service(
            "web",
            clusterIP="10.96.7.7",
            clusterIPs=["10.96.7.7"],
            ports=[
                ServicePort(name="http", protocol="TCP", port=80),
                ServicePort(name="quic", protocol="UDP", port=443),
            ],
        )
    )
    zone.set_service(
        service("db", clusterIP="None", ports=[ServicePort(name="sql", protocol="TCP", port=5432)])
    )
    zone.set_slice(
        endpoints(
            "db",
            ready("10.244.1.9", hostname="db-0"),
            ready("10.244.0.3"),
            ready("10.244.0.4", is_ready=False),
        )
    )
    zone.set_service(service("ext", type="ExternalName", externalName="example.org."))
    zone.set_service(service("idle", clusterIP="None"))
    return zone


def ask(zone: Zone, name: str, type_: str) -> list[object] | str:
    """The records' data, or "none" for no data, "missing" for NXDOMAIN, "not ours"."""
    found = answer.answer(zone, name, type_)
    if found is None:
        return "not ours"
    if not found.exists:
        return "missing"
    return [record.data for record in found.records] or "none"


D = "svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        (f"web.shop.{D}", "A", ["10.96.7.7"]),
        (f"web.shop.{D}", "AAAA", "none"),
        (f"web.shop.{D}", "SRV", [(0, 50, 80, f"web.shop.{D}"), (0, 50, 443, f"web.shop.{D}")]),
        (f"_http._tcp.web.shop.{D}", "SRV", [(0, 100, 80, f"web.shop.{D}")]),
        (f"_http._udp.web.shop.{D}", "SRV", "missing"),
        (f"nope.shop.{D}", "A", "missing"),
        (f"web.nowhere.{D}", "A", "missing"),
        (f"shop.{D}", "A", "none"),
        (f"nowhere.{D}", "A", "missing"),
        (D, "A", "none"),
        ("cluster.local", "A", "none"),
        ("x.cluster.local", "A", "missing"),
        ("dns-version.cluster.local", "TXT", ["1.1.0"]),
        (f"db.shop.{D}", "A", ["10.244.1.9", "10.244.0.3"]),
        (f"db-0.db.shop.{D}", "A", ["10.244.1.9"]),
        (f"10-244-0-3.db.shop.{D}", "A", ["10.244.0.3"]),
        (f"10-244-0-4.db.shop.{D}", "A", "missing"),
        (
            f"_sql._tcp.db.shop.{D}",
            "SRV",
            [(0, 50, 5432, f"db-0.db.shop.{D}"), (0, 50, 5432, f"10-244-0-3.db.shop.{D}")],
        ),
        (f"idle.shop.{D}", "A", "missing"),
        (f"ext.shop.{D}", "A", ["example.org"]),
        (f"a.ext.shop.{D}", "A", "missing"),
        ("10-244-0-3.shop.pod.cluster.local", "A", ["10.244.0.3"]),
        ("10-244-0-3.shop.pod.cluster.local", "AAAA", "none"),
        ("10-244-0-3.nowhere.pod.cluster.local", "A", "missing"),
        ("words.shop.pod.cluster.local", "A", "missing"),
        ("7.7.96.10.in-addr.arpa", "PTR", [f"web.shop.{D}"]),
        ("9.1.244.10.in-addr.arpa", "PTR", [f"db-0.db.shop.{D}"]),
        ("7.7.96.10.in-addr.arpa", "A", "none"),
        ("1.1.1.1.in-addr.arpa", "PTR", "not ours"),
        ("example.org", "A", "not ours"),
        ("notcluster.local", "A", "not ours"),
    ],
)
def test_answers(zone: Zone, name: str, type_: str, expected: object) -> None:
    assert ask(zone, name, type_) == expected


def test_service_records_come_with_the_addresses_of_their_targets(zone: Zone) -> None:
    found = answer.answer(zone, f"_sql._tcp.db.shop.{D}", "SRV")
    assert found is not None
    assert found.additional == (
        Record(f"db-0.db.shop.{D}", "A", "10.244.1.9"),
        Record(f"10-244-0-3.db.shop.{D}", "A", "10.244.0.3"),
    )


def external(zone: Zone, name: str, target: str) -> None:
    zone.set_service(service(name, type="ExternalName", externalName=target))


def followed(zone: Zone, name: str, type_: str = "A") -> tuple[list[Any], bool, bool, str]:
    """The data, whether the name exists, whether an SOA goes along, what is left to look up."""
    found = answer.answer(zone, f"{name}.shop.{D}", type_)
    assert found is not None
    data = [record.data for record in found.records]
    return data, found.exists, found.is_negative(type_), found.target


def test_an_external_name_outside_the_zone_is_left_to_look_up(zone: Zone) -> None:
    assert followed(zone, "ext") == (["example.org"], True, False, "example.org")
    assert followed(zone, "ext", "CNAME") == (["example.org"], True, False, "")


def test_an_external_name_in_the_zone_is_followed(zone: Zone) -> None:
    external(zone, "alias", f"Web.shop.{D}.")
    external(zone, "twice", f"alias.shop.{D}")
    external(zone, "out", f"ext.shop.{D}")
    external(zone, "all", f"_sql._tcp.db.shop.{D}")
    web, alias = f"Web.shop.{D}", f"alias.shop.{D}"
    assert followed(zone, "alias") == ([web, "10.96.7.7"], True, False, "")
    assert followed(zone, "twice") == ([alias, web, "10.96.7.7"], True, False, "")
    assert followed(zone, "out") == ([f"ext.shop.{D}", "example.org"], True, False, "example.org")
    assert followed(zone, "alias", "AAAA") == ([web], True, True, "")
    assert followed(zone, "alias", "CNAME") == ([web], True, False, "")
    found = answer.answer(zone, f"all.shop.{D}", "SRV")
    assert found is not None
    assert [record.type for record in found.records] == ["CNAME", "SRV", "SRV"]
    assert len(found.additional) == 2


def test_an_external_name_to_nothing_does_not_exist(zone: Zone) -> None:
    external(zone, "lost", f"nope.shop.{D}")
    assert followed(zone, "lost") == ([f"nope.shop.{D}"], False, True, "")


def test_names_that_point_in_a_circle_end(zone: Zone) -> None:
    external(zone, "self", f"self.shop.{D}")
    external(zone, "ping", f"pong.shop.{D}")
    external(zone, "pong", f"ping.shop.{D}")
    for number in range(30):
        external(zone, f"chain-{number}", f"chain-{number + 1}.shop.{D}")
    assert followed(zone, "self") == ([f"self.shop.{D}"], True, True, "")
    assert followed(zone, "ping")[0] == [f"pong.shop.{D}", f"ping.shop.{D}"]
    assert len(followed(zone, "chain-0")[0]) == answer.MAX_CNAMES + 1


def test_unready_endpoints_show_when_the_service_says_so(zone: Zone) -> None:
    zone.set_service(service("db", clusterIP="None", publishNotReadyAddresses=True))
    assert ask(zone, f"db.shop.{D}", "A") == ["10.244.1.9", "10.244.0.3", "10.244.0.4"]


def test_what_goes_is_forgotten(zone: Zone) -> None:
    zone.drop_slice("shop", "db-x")
    assert ask(zone, f"db.shop.{D}", "A") == "missing"
    assert ask(zone, "9.1.244.10.in-addr.arpa", "PTR") == "not ours"
    zone.drop_service("shop", "web")
    assert ask(zone, f"web.shop.{D}", "A") == "missing"
    assert ask(zone, "7.7.96.10.in-addr.arpa", "PTR") == "not ours"
    zone.set_namespace("shop", False)
    assert ask(zone, f"shop.{D}", "A") == "missing"
