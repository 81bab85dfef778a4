"""What a stored object has to become to hold all that every cluster has. Pure.

In: the stored object (a copy that may be changed) and the desired one. Out: the object to write, or
None where nothing is missing; the desired one itself where the stored one has to be made anew. What
people added stays; an object whose ``autoupdate`` annotation says "false" is left alone. Called by
``run``. Upstream: component-helpers ``auth/rbac/reconciliation``.
"""

from __future__ import annotations

import re

import msgspec

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.endpoints import Endpoints
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.api.rbac.v1.clusterrole import AggregationRule, ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.apiserver.authz.rbac import cover
from trireme.apiserver.bootstrap.notation import AUTOUPDATE
from trireme.machinery.meta import ObjectMeta

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
AnyRole = ClusterRole | Role
AnyBinding = ClusterRoleBinding | RoleBinding


def role(stored: AnyRole, desired: AnyRole) -> AnyRole | None:
    """A role with the missing rules, labels and annotations added."""
    if _is_protected(stored.metadata):
        return None
    changed = _merge(stored.metadata, desired.metadata)
    missing = cover.uncovered(stored.rules, desired.rules)
    if missing:
        stored.rules = [*stored.rules, *missing]
        changed = True
    if isinstance(stored, ClusterRole) and isinstance(desired, ClusterRole):
        changed = _aggregate(stored, desired) or changed
    return stored if changed else None


def binding(stored: AnyBinding, desired: AnyBinding) -> AnyBinding | None:
    """A binding with the missing subjects, labels and annotations added.

    A roleRef cannot be changed: where it differs, ``desired`` itself is the answer, and the stored
    binding has to be deleted first.
    """
    if _is_protected(stored.metadata):
        return None
    if stored.roleRef != desired.roleRef:
        return desired
    changed = _merge(stored.metadata, desired.metadata)
    missing = [item for item in desired.subjects if item not in stored.subjects]
    if missing:
        stored.subjects = [*stored.subjects, *missing]
    return stored if changed or missing else None


def endpoints(stored: Endpoints, desired: Endpoints) -> Endpoints | None:
    """The Endpoints of the API server's Service, leading to it and to nothing else."""
    changed = _merge(stored.metadata, desired.metadata) or stored.subsets != desired.subsets
    stored.subsets = desired.subsets
    return stored if changed else None


def endpoint_slice(stored: EndpointSlice, desired: EndpointSlice) -> EndpointSlice | None:
    """The same of its EndpointSlice, whose family of addresses cannot be changed."""
    if stored.addressType != desired.addressType:
        return desired
    changed = _merge(stored.metadata, desired.metadata)
    changed = changed or stored.endpoints != desired.endpoints or stored.ports != desired.ports
    stored.endpoints, stored.ports = desired.endpoints, desired.ports
    return stored if changed else None


def authentication(stored: ConfigMap, desired: ConfigMap) -> ConfigMap | None:
    """A ConfigMap that knows what other API servers wrote as well: certificates and names are
    added. Upstream: pkg/controlplane/controller/clusterauthenticationtrust."""
    merged = {
        key: _certificates(stored.data.get(key, ""), value)
        if key.endswith("-ca-file")
        else _names(stored.data.get(key, ""), value)
        for key, value in desired.data.items()
    }
    return data(stored, ConfigMap(data=merged))


def _certificates(stored: str, desired: str) -> str:
    """Both bundles, each certificate once; what is none is dropped."""
    found = dict.fromkeys(_CERTIFICATE.findall(f"{stored}\n{desired}"))
    return "".join(f"{item}\n" for item in found)


def _names(stored: str, desired: str) -> str:
    try:
        before = msgspec.json.decode(stored or "[]", type=list[str])
    except msgspec.MsgspecError:
        before = []
    both = dict.fromkeys([*before, *msgspec.json.decode(desired, type=list[str])])
    return msgspec.json.encode(list(both)).decode()


def data(stored: ConfigMap, desired: ConfigMap) -> ConfigMap | None:
    """A ConfigMap with the desired entries; what others wrote there stays."""
    if desired.data.items() <= stored.data.items():
        return None
    stored.data = {**stored.data, **desired.data}
    return stored


def _is_protected(meta: ObjectMeta) -> bool:
    return meta.annotations.get(AUTOUPDATE) == "false"


def _merge(stored: ObjectMeta, desired: ObjectMeta) -> bool:
    """Add missing labels and annotations; those that are there keep their values."""
    labels = desired.labels | stored.labels
    annotations = desired.annotations | stored.annotations
    changed = labels != stored.labels or annotations != stored.annotations
    stored.labels, stored.annotations = labels, annotations
    return changed


def _aggregate(stored: ClusterRole, desired: ClusterRole) -> bool:
    if desired.aggregationRule is None:
        changed = stored.aggregationRule is not None
        stored.aggregationRule = None
        return changed
    present = stored.aggregationRule or AggregationRule()
    missing = [
        selector
        for selector in desired.aggregationRule.clusterRoleSelectors
        if selector not in present.clusterRoleSelectors
    ]
    if missing:
        present.clusterRoleSelectors = [*present.clusterRoleSelectors, *missing]
        stored.aggregationRule = present
    return bool(missing)
