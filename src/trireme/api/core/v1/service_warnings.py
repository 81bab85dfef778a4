"""Warnings for Services that are valid.

In: a Service, defaulted and prepared. Out: texts. Called by: the kind's ``RESOURCE``. Upstream:
pkg/api/service/warnings.go, pkg/registry/core/service.
"""

from __future__ import annotations

from typing import Final

from trireme.api import addresses
from trireme.api.core.v1.service import Service
from trireme.api.core.v1.service_rules import HINTS, MODE
from trireme.machinery import field

_SPEC: Final = field.path("spec")


def service(new: Service, _old: Service | None) -> list[str]:
    """What is deprecated, what is ignored, and addresses that are not canonical."""
    spec, found = new.spec, []
    if HINTS in new.metadata.annotations:
        found.append(f"annotation {HINTS} is deprecated, please use {MODE} instead")
    if spec.clusterIP not in ("", "None"):
        for position, text in enumerate(spec.clusterIPs):
            found += addresses.ip_warnings(_SPEC.child("clusterIPs").index(position), text)
    named, headless = spec.type == "ExternalName", False
    if spec.type == "ClusterIP" and spec.clusterIP == "None":
        headless = True
        for name, ignored in (
            ("loadBalancerIP", bool(spec.loadBalancerIP)),
            ("externalIPs", bool(spec.externalIPs)),
            ("SessionAffinity", spec.sessionAffinity != "None"),
        ):
            if ignored:
                found.append(f"spec.{name} is ignored for headless services")
    for position, text in enumerate(spec.externalIPs):
        found += addresses.ip_warnings(_SPEC.child("externalIPs").index(position), text)
    if spec.externalIPs and not headless and not named:
        found.append(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        )
    if spec.loadBalancerIP:
        found += addresses.ip_warnings(_SPEC.child("loadBalancerIP"), spec.loadBalancerIP)
    for position, text in enumerate(spec.loadBalancerSourceRanges):
        where = _SPEC.child("loadBalancerSourceRanges").index(position)
        found += addresses.cidr_warnings(where, text)
    if named and spec.externalIPs:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if not named and spec.externalName:
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def status(new: Service, _old: Service) -> list[str]:
    """Addresses that are not in canonical form."""
    at, found = field.path("status", "loadBalancer", "ingress"), []
    for position, item in enumerate(new.status.loadBalancer.ingress):
        if item.ip:
            found += addresses.ip_warnings(at.index(position), item.ip)
    return found
