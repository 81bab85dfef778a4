"""What every kind of the API has, over the whole catalog."""

from __future__ import annotations

import graphlib

import grimp
import msgspec
import pytest

import trireme.api
from trireme.api.catalog import Catalog
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode, normalise

KINDS = Catalog.of(trireme.api)
STORED = [resource for resource in KINDS.resources if "get" in resource.verbs]


def _plurals(expected: list[Resource]) -> set[str]:
    return {resource.plural for resource in expected}


def _name(resource: Resource) -> str:
    return resource.plural


def test_how_kinds_are_written() -> None:
    assert _plurals([resource for resource in STORED if resource.create_on_update]) == {
        "clusterrolebindings",
        "clusterroles",
        "endpoints",
        "events",
        "leasecandidates",
        "leases",
        "limitranges",
        "rolebindings",
        "roles",
        "runtimeclasses",
        "services",
    }
    assert _plurals([item for item in STORED if not item.unconditional_update]) == {
        "apiservices",
        "clustertrustbundles",
        "csidrivers",
        "csinodes",
        "csistoragecapacities",
        "customresourcedefinitions",
        "leasecandidates",
        "leases",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "podcertificaterequests",
        "poddisruptionbudgets",
        "resourcepoolstatusrequests",
        "runtimeclasses",
        "storageversionmigrations",
        "storageversions",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
        "volumeattachments",
    }
    assert _plurals([resource for resource in STORED if resource.status_on_create]) == {"nodes"}


def test_how_kinds_go() -> None:
    assert _plurals([resource for resource in STORED if resource.returns_deleted]) == {
        "csidrivers",
        "csinodes",
        "deviceclasses",
        "devicetaintrules",
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourceclaims",
        "resourceclaimtemplates",
        "resourcepoolstatusrequests",
        "resourcequotas",
        "resourceslices",
        "serviceaccounts",
        "services",
        "storageclasses",
        "volumeattachments",
        "volumeattributesclasses",
    }
    assert _plurals([resource for resource in STORED if resource.grace is not None]) == {"pods"}
    assert _plurals([resource for resource in STORED if not resource.collected]) == {"events"}
    assert {item.plural: item.ttl for item in STORED if item.ttl} == {"events": 3600}


@pytest.mark.parametrize("resource", STORED, ids=_name)
def test_an_empty_object_has_a_row(resource: Resource) -> None:
    obj = resource.type()
    resource.defaults(obj)
    assert len(resource.row(obj, 0.0)) == len(resource.columns)
    # Upstream's rows of addresses have a cell more than the table defines.
    unnamed = [column for column in resource.columns if not column.name]
    assert len(unnamed) == (1 if resource.plural == "ipaddresses" else 0)
    for read in resource.selectable.values():
        assert isinstance(read(obj), str)


@pytest.mark.parametrize("resource", KINDS.resources, ids=_name)
def test_defaults_twice_change_nothing(resource: Resource) -> None:
    first = resource.type()
    resource.defaults(first)
    text = msgspec.json.encode(first)
    second, _ = decode.decode(text, resource.type, "Strict")
    normalise.normalise(second)
    resource.defaults(second)
    third, _ = decode.decode(msgspec.json.encode(second), resource.type, "Strict")
    normalise.normalise(third)
    resource.defaults(third)
    assert msgspec.json.encode(third) == msgspec.json.encode(second)


@pytest.mark.parametrize("resource", KINDS.resources, ids=_name)
def test_rules_of_an_empty_object_are_errors_not_crashes(resource: Resource) -> None:
    obj, old = resource.type(), resource.type()
    resource.defaults(obj)
    resource.prepare_create(obj)
    resource.validate(obj)
    resource.prepare_update(obj, old)
    resource.update_errors(obj, old)
    resource.prepare_status(obj, old)
    resource.validate_status(obj, old)


def test_no_import_goes_in_a_circle() -> None:
    """Types stand below their rules, rules below their kind; for type checkers as well."""
    graph = grimp.build_graph("trireme", cache_dir=None)
    rooms = ("trireme.api", "trireme.machinery", "trireme.expr", "trireme.kit")
    modules = {name for name in graph.modules if name.startswith(rooms)}
    imports = {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}
    graphlib.TopologicalSorter(imports).prepare()
