"""The discovery documents, as plain values made from the catalog: pure.

In: the served ``Resource`` values. Out: APIVersions, APIGroupList, APIGroup, APIResourceList and
the aggregated APIGroupDiscoveryList. Rules: KEP-3352;
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Any

from trireme.apiserver.aggregate import plan
from trireme.apiserver.served import RemoteVersion
from trireme.machinery.resource import Resource, Subresource

# What is known of a version: the kinds that this server serves, or what another says of its own.
Listed = list[Resource] | RemoteVersion
Groups = dict[str, dict[str, Listed]]
# The order in which groups are listed, and so which group wins when kubectl meets a bare kind name.
PRIORITY = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "storagemigration.k8s.io",
)


# Kinds that upstream stores in an older version than the newest one: the hash tells it.
_STORED_IN = {
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): "v1beta1",
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): "v1beta1",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "v1beta1",
    ("resource.k8s.io", "DeviceTaintRule"): "v1alpha3",
}
_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?\Z")
_LEVELS = {None: 0, "beta": 1, "alpha": 2}


def groups(resources: Iterable[Resource]) -> dict[str, dict[str, list[Resource]]]:
    """Group → version → resources by plural, in the order in which they are listed."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for resource in sorted(resources, key=_order):
        found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return found


def merged(found: dict[str, dict[str, list[Resource]]], remote: Iterable[RemoteVersion]) -> Groups:
    """The groups with those of aggregated API servers, in the order of their APIServices."""
    whole: Groups = {group: dict(versions) for group, versions in found.items()}
    priorities: dict[str, int] = {}
    for each in remote:
        whole.setdefault(each.group, {})[each.version] = each
        first = priorities.get(each.group, 0)
        priorities[each.group] = max(first, each.group_priority)
    if not priorities:
        return whole
    for group in priorities:
        versions = whole[group]
        whole[group] = dict(sorted(versions.items(), key=lambda item: _place(group, *item)))
    for group in found:
        priorities[group] = max(priorities.get(group, 0), plan.group_priority(group))
    # The group of APIServices themselves has no APIService: it comes first, with the core.
    heads = [group for group in PRIORITY[:2] if group in whole]
    rest = sorted((-priorities[group], group) for group in whole if group not in heads)
    return {group: whole[group] for group in (*heads, *(group for _, group in rest))}


def _place(group: str, version: str, listed: Listed) -> tuple[Any, ...]:
    if isinstance(listed, RemoteVersion):
        return -listed.version_priority, version_order(version)
    return -plan.version_priority(group, version), version_order(version)


def _order(resource: Resource) -> tuple[int, str, tuple[Any, ...], str]:
    known = resource.group in PRIORITY
    place = PRIORITY.index(resource.group) if known else len(PRIORITY)
    return place, resource.group, version_order(resource.version), resource.plural


def version_order(version: str) -> tuple[Any, ...]:
    """Sorts versions as they are listed: v2, v1, v1beta1, v1alpha1, then names that are none."""
    found = _VERSION.match(version)
    if found is None:
        return (1, version)
    major, level, minor = found.groups()
    return (0, _LEVELS[level], -int(major), -int(minor or 0))


def api_versions(address: str) -> dict[str, Any]:
    """The answer at /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_group_list(found: Groups) -> dict[str, Any]:
    """The answer at /apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in found.items() if name],
    }


def api_group(name: str, versions: Iterable[str]) -> dict[str, Any]:
    """The answer at /apis/<group>."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def api_resource_list(group_version: str, resources: Iterable[Resource]) -> dict[str, Any]:
    """The answer at /api/v1 and /apis/<group>/<version>."""
    entry: list[dict[str, Any]] = []
    for resource in resources:
        entry.append(_resource(resource))
        entry += [_subresource(resource, item) for item in resource.subresources]
    entry.sort(key=lambda item: item["name"])
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entry,
    }


def aggregated(found: Groups, *, core: bool) -> dict[str, Any]:
    """The aggregated form of /api (``core``) or of /apis."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [_version(item, listed) for item, listed in versions.items()],
            }
            for name, versions in found.items()
            if (name == "") == core
        ],
    }


def _version(version: str, listed: Listed) -> dict[str, Any]:
    if isinstance(listed, RemoteVersion):
        freshness = "Stale" if listed.is_stale else "Current"
        # A version without resources says nothing of them, as in Go.
        resources = {"resources": listed.resources} if listed.resources else {}
        return {"version": version, **resources, "freshness": freshness}
    return {
        "version": version,
        "resources": [_discovered(resource) for resource in listed],
        "freshness": "Current",
    }


def _group(name: str, versions: Iterable[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{item}", "version": item} for item in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resource(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "watch" in resource.verbs:
        entry["storageVersionHash"] = _storage_hash(resource)
    return entry


def _subresource(resource: Resource, item: Subresource) -> dict[str, Any]:
    entry = {
        "name": f"{resource.plural}/{item.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        **_kind(resource, item, "group", "version"),
        "verbs": sorted(item.verbs),
    }
    return entry


def _kind(resource: Resource, item: Subresource, group: str, version: str) -> dict[str, str]:
    """The kind that a subresource reads and writes, with its group only where that differs."""
    if item.type is None:
        return {"kind": item.kind or resource.kind}
    identity = item.type()
    owner, slash, own_version = identity.apiVersion.rpartition("/")
    if (owner if slash else "") == resource.group and own_version == resource.version:
        return {"kind": identity.kind}
    return {group: owner, version: own_version, "kind": identity.kind}


def _discovered(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        # A group and version that are those of the list are not said again.
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": item.name,
                "responseKind": _response_kind(resource, item),
                "verbs": sorted(item.verbs),
            }
            for item in sorted(resource.subresources, key=lambda item: item.name)
        ]
    return entry


def _response_kind(resource: Resource, item: Subresource) -> dict[str, str]:
    kind = _kind(resource, item, "group", "version")
    return {
        "group": kind.get("group", ""),
        "version": kind.get("version", ""),
        "kind": kind["kind"],
    }


def _storage_hash(resource: Resource) -> str:
    if resource.stored_as is not None:
        resource = resource.stored_as.stored
    version = _STORED_IN.get((resource.group, resource.kind), resource.version)
    text = f"{resource.group}/{version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()
