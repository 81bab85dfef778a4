"""What nobody acts on is warned of, and nothing else: the table is held against the code.

Who acts is read off the code: the controllers that are defined, the admission plugins in their
order, and which files of the components that act import a kind's type.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import trireme.api
from tests.apiserver import parity
from tests.apiserver.test_every_kind import _collection, _manifests
from tests.apiserver.test_reading import Api
from trireme.api.catalog import Catalog
from trireme.apiserver import unimplemented
from trireme.apiserver.admission import order
from trireme.apiserver.bootstrap import policy
from trireme.cluster import cloud_controllers
from trireme.controllers import manager
from trireme.testing import control_plane

# Controllers of upstream that do nothing for objects that somebody creates: an
# annotation of nodes, the clean-up of unused tokens, a role for others' clouds.
WITHOUT_KIND = {
    "ttl-controller",
    "legacy-service-account-token-cleaner",
    "cloud-provider",
    # Off by default; it only records events about SELinux labels.
    "selinux-warning-controller",
}
# The admission plugins that are on by default in upstream v1.36 (DefaultOffAdmissionPlugins), but
# for those of features that are off by default and act on kinds that are acted on here.
ADMISSION = {
    "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "DefaultStorageClass",
    "PersistentVolumeClaimResize", "DefaultTolerationSeconds", "MutatingAdmissionWebhook",
    "ValidatingAdmissionWebhook", "ResourceQuota", "StorageObjectInUseProtection",
    "PodGroupProtection", "Priority", "TaintNodesByCondition", "RuntimeClass",
    "CertificateApproval", "CertificateSigning", "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction", "DefaultIngressClass", "PodSecurity", "PodTopologyLabels",
    "MutatingAdmissionPolicy", "ValidatingAdmissionPolicy", "PodGroupWorkloadExists",
    "PodResizeValidator",
}  # fmt: skip
# What acts: the parts that are no description of the API and no tool of others.
ACTING = (
    "apiserver",
    "cloud",
    "controllers",
    "scheduler",
    "kubelet",
    "proxy",
    "dns",
    "runtime",
    "domain",
)
# Files that look at a kind without acting on its objects.
LOOKING = {
    # They make the first objects of a kind.
    "apiserver/bootstrap/fairness.py",
    "apiserver/bootstrap/objects.py",
    "apiserver/bootstrap/run.py",
    # They decide who may write an object, or what it may ask for.
    "apiserver/admission/plugins/certificate_requests.py",
    "apiserver/admission/plugins/certificates.py",
    "apiserver/admission/plugins/device_admin_access.py",
    "apiserver/admission/plugins/default_ingress_class.py",
    "apiserver/admission/plugins/runtime_class.py",
    "apiserver/admission/plugins/pod_certificate_requests.py",
    # They count them.
    "controllers/quota/counted.py",
    "domain/quota/claims.py",
    "domain/quota/devices.py",
    # The types of their expressions are checked.
    "controllers/policies/plan_type_check.py",
    "controllers/policies/policy_status.py",
    # Its Pods are counted, spread.
    "controllers/disruption/budgets.py",
    "scheduler/default_selector.py",
}
# Kinds that are records: nobody acts on their objects in upstream, either.
RECORDS = {"podtemplates", "controllerrevisions.apps"}
# Kinds of which some objects are warned of, and others acted on.
IN_PART = {
    "csidrivers.storage.k8s.io",
    "namespaces",
    # They are kept, cleaned, published; what is to follow from them is not done.
    "clustertrustbundles.certificates.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "podgroups.scheduling.k8s.io",
    "storageversions.internal.apiserver.k8s.io",
    "workloads.scheduling.k8s.io",
    # Claims are made, released and evicted; no device is allocated.
    "resourceclaims.resource.k8s.io",
    "resourceclaimtemplates.resource.k8s.io",
    "resourceslices.resource.k8s.io",
}


def controllers_of_upstream() -> set[str]:
    """By their roles, which every cluster has."""
    roles: list[Any] = [*policy.cluster_roles(), *policy.roles()]
    names = {role.metadata.name for role in roles}
    prefix = policy.CONTROLLER_PREFIX
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def here() -> set[str]:
    """The controllers and plugins that there are."""
    accounts = (*manager.identities(), *cloud_controllers.accounts())
    return {*accounts, *(plugin.name for plugin in order.plugins())}


def in_table() -> set[str]:
    return {actor for rows in unimplemented.ROWS.values() for row in rows for actor in row.actors}


KINDS = Catalog.of(trireme.api).resources


def test_who_is_here_is_in_no_row() -> None:
    assert in_table() & here() == set()


def test_who_is_not_here_is_in_a_row() -> None:
    missing = (controllers_of_upstream() | ADMISSION) - here() - WITHOUT_KIND
    assert missing - in_table() == set()


def test_rows_name_real_actors_and_kinds() -> None:
    assert in_table() <= controllers_of_upstream() | ADMISSION
    assert set(unimplemented.ROWS) <= {item.group_resource for item in KINDS}


@cache
def imports() -> dict[str, set[str]]:
    """The files of what acts that import a name from the API's types."""
    root = Path(trireme.api.__file__).parents[1]
    found: dict[str, set[str]] = defaultdict(set)
    for room in ACTING:
        for path in (root / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                    "trireme.api."
                ):
                    for name in node.names:
                        found[name.name].add(path.relative_to(root).as_posix())
    return found


def acted_on() -> set[str]:
    """The kinds that a file of what acts looks at, in any version."""
    return {
        item.group_resource for item in KINDS if imports().get(item.type.__name__, set()) - LOOKING
    }


def test_a_kind_that_no_code_looks_at_is_warned_of() -> None:
    everything = {item.group_resource for item in KINDS}
    assert everything - acted_on() - RECORDS - set(unimplemented.ROWS) == set()


def test_a_kind_that_code_acts_on_is_not_warned_of() -> None:
    assert acted_on() & set(unimplemented.ROWS) - IN_PART == set()


def test_files_that_look_on_are_there() -> None:
    """So that none stays in the list when it has gone."""
    files = {path for paths in imports().values() for path in paths}
    assert files >= LOOKING


def got(answer: Any) -> list[str]:
    """The warnings of what is not acted on."""
    return [text[7:-1] for text in answer.warnings if "Trireme does not act on" in text]


async def test_creations_say_so_and_no_others() -> None:
    cases = [case.values for case in _manifests()]
    settings: dict[str, Any] = {**parity.EVERYTHING, "warn_unimplemented": True}
    received = set()
    async with control_plane.api_server(**settings) as server:
        ask = Api(server)
        for resource, manifest in cases:
            rows = unimplemented.ROWS.get(resource.group_resource, ())
            answer = await ask.raw("POST", _collection(resource) + "?dryRun=All", manifest)
            assert answer.status == 201, answer.body
            if all(row.when is None for row in rows):
                desired = [f"{row.of} yet: {row.missing}" for row in rows]
                said = [text.partition(" does not act on ")[2] for text in got(answer)]
                assert len(said) == len(desired), (resource.plural, said)
                assert all(map(str.endswith, said, desired)), said
                received.add(resource.group_resource)
    always = {
        name for name, rows in unimplemented.ROWS.items() if all(row.when is None for row in rows)
    }
    assert received >= always


POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "x"},
    "spec": {"podSelector": {}},
}
MERGE = "application/merge-patch+json"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"


async def test_what_the_words_are() -> None:
    async with control_plane.api_server(warn_unimplemented=True) as server:
        ask = Api(server)
        said = got(await ask.raw("POST", POLICIES, POLICY))
        assert said == [
            "Trireme does not act on NetworkPolicies yet: no traffic will be refused by it"
        ]
        change = {"metadata": {"labels": {"c": "d"}}}
        assert got(await ask.raw("PATCH", f"{POLICIES}/x", change, media=MERGE)) == []


async def test_an_update_that_makes_it_so() -> None:
    path = "/apis/storage.k8s.io/v1/csidrivers"
    driver = {"kind": "CSIDriver", "apiVersion": "storage.k8s.io/v1", "metadata": {"name": "d"}}
    async with control_plane.api_server(warn_unimplemented=True) as server:
        ask = Api(server)
        assert got(await ask.raw("POST", path, {**driver, "spec": {}})) == []
        counting = {"spec": {"nodeAllocatableUpdatePeriodSeconds": 60}}
        answer = await ask.raw("PATCH", f"{path}/d", counting, media=MERGE)
        assert got(answer) == [
            "Trireme does not act on CSIDrivers with nodeAllocatableUpdatePeriodSeconds yet: "
            "the limits of nodes stay as they were when it registered"
        ]
        again = {"metadata": {"labels": {"a": "b"}}}
        assert got(await ask.raw("PATCH", f"{path}/d", again, media=MERGE)) == []


async def test_a_server_for_other_controllers_is_silent() -> None:
    async with control_plane.api_server() as server:
        assert got(await Api(server).raw("POST", POLICIES, POLICY)) == []
