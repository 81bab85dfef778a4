"""Rules of Services.

In: a defaulted and prepared Service, and the stored one. Out: field errors. Called by: the kind's
``RESOURCE``. The allocator fills in addresses and ports after validation, so they may be missing
here; it also checks whether given ones are in range and free. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/services-networking/service/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import service_families as families
from trireme.api.core.v1.service import Service, ServicePort
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_SPEC: Final = field.path("spec")
_POLICIES: Final = ("Cluster", "Local")
_MAX_AFFINITY: Final = 86400
HINTS: Final = "service.kubernetes.io/topology-aware-hints"
MODE: Final = "service.kubernetes.io/topology-mode"
_SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_BALANCER_ONLY: Final = "may only be used when `type` is 'LoadBalancer'"


def create(new: Service) -> Errors:
    """A new Service."""
    errs: Errors = []
    _whole(errs, new, None)
    return errs


def update(new: Service, old: Service) -> Errors:
    """A changed Service: addresses and families stay, but for a second one."""
    errs: Errors = []
    families.changed(errs, new, old)
    spec, was = new.spec, old.spec
    if spec.type == was.type == "LoadBalancer" and spec.loadBalancerClass != was.loadBalancerClass:
        detail = "may not change once set"
        errs.append(field.invalid(_SPEC.child("loadBalancerClass"), spec.loadBalancerClass, detail))
    health, before = spec.healthCheckNodePort, was.healthCheckNodePort
    if _is_local_balancer(new) and _is_local_balancer(old) and health != before:
        errs.append(field.forbidden(_SPEC.child("healthCheckNodePort"), rules.IMMUTABLE))
    _whole(errs, new, old)
    return errs


def status(new: Service, old: Service) -> Errors:
    """What a load balancer reports."""
    errs: Errors = []
    at = field.path("status", "loadBalancer", "ingress")
    ingress = new.status.loadBalancer.ingress
    if ingress and new.spec.type != "LoadBalancer":
        detail = "may only be used when `spec.type` is 'LoadBalancer'"
        return [field.forbidden(at, detail)]
    known = {item.ip for item in old.status.loadBalancer.ingress}
    for position, item in enumerate(ingress):
        here = at.index(position)
        if item.ip and item.ip not in known:
            rules.syntax(errs, here, "ip", item.ip, names.is_legacy_ip)
        if item.ipMode is None:
            if item.ip:
                detail = "must be specified when `ip` is set"
                errs.append(field.required(here.child("ipMode"), detail))
        elif not item.ip:
            detail = "may not be specified when `ip` is not set"
            errs.append(field.forbidden(here.child("ipMode"), detail))
        else:
            rules.declared(errs, here, item, "ipMode")
        if item.hostname:
            rules.syntax(errs, here, "hostname", item.hostname, names.is_dns1123_subdomain)
            if names.parse_ip_sloppy(item.hostname) is not None:
                detail = "must be a DNS name, not an IP address"
                errs.append(field.invalid(here.child("hostname"), item.hostname, detail))
    return errs


def _whole(errs: Errors, new: Service, old: Service | None) -> None:
    spec, annotations = new.spec, new.metadata.annotations
    hints, mode = annotations.get(HINTS), annotations.get(MODE)
    if hints is not None and mode is not None and hints != mode:
        where = field.path("metadata", "annotations").key(MODE)
        detail = f"must match annotations[{HINTS}] when both are specified"
        errs.append(field.invalid(where, mode, detail))
    _by_type(errs, new)
    _ports(errs, new)
    if spec.selector:
        rules.labels(errs, _SPEC.child("selector"), spec.selector)
    _affinity(errs, new)
    families.addresses(errs, new, old)
    _external_ips(errs, spec.externalIPs, old.spec.externalIPs if old is not None else [])
    rules.declared(errs, _SPEC, spec, "type")
    _unique_ports(errs, new)
    _source_ranges(errs, new, old)
    _balancer(errs, new)
    _traffic(errs, new)


def _by_type(errs: Errors, new: Service) -> None:
    spec = new.spec
    headless = families.is_headless(new)
    if not spec.ports and not headless and spec.type != "ExternalName":
        errs.append(field.required(_SPEC.child("ports")))
    if spec.type in ("LoadBalancer", "NodePort"):
        if headless:
            where = _SPEC.child("clusterIPs").index(0)
            detail = f"may not be set to 'None' for {spec.type} services"
            errs.append(field.invalid(where, spec.clusterIPs[0], detail))
    elif spec.type == "ExternalName":
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if getattr(spec, name):
                detail = "may not be set for ExternalName services"
                errs.append(field.forbidden(_SPEC.child(name), detail))
        name = spec.externalName.removesuffix(".")
        rules.required_syntax(errs, _SPEC, "externalName", name, names.is_dns1123_subdomain)


def _ports(errs: Errors, new: Service) -> None:
    at, ports = _SPEC.child("ports"), new.spec.ports
    used: set[str] = set()
    for position, port in enumerate(ports):
        here = at.index(position)
        if port.name:
            rules.syntax(errs, here, "name", port.name, names.is_dns1123_label)
            if port.name in used:
                errs.append(field.duplicate(here.child("name"), port.name))
            used.add(port.name)
        elif len(ports) > 1:
            errs.append(field.required(here.child("name")))
        _port(errs, here, port)
        if port.nodePort and new.spec.type == "ClusterIP":
            detail = "may not be used when `type` is 'ClusterIP'"
            errs.append(field.forbidden(here.child("nodePort"), detail))


def _port(errs: Errors, at: Path, port: ServicePort) -> None:
    rules.add(errs, at.child("port"), port.port, names.is_port_number(port.port))
    rules.declared(errs, at, port, "protocol")
    rules.port_number_or_name(errs, at, "targetPort", port.targetPort)
    if port.appProtocol is not None:
        rules.syntax(errs, at, "appProtocol", port.appProtocol, names.is_qualified_name)


def _unique_ports(errs: Errors, new: Service) -> None:
    at = _SPEC.child("ports")
    used: set[tuple[str, str, int]] = set()
    for position, port in enumerate(new.spec.ports):
        key = ("node", port.protocol, port.nodePort)
        if port.nodePort and key in used:
            where = at.index(position).child("nodePort")
            errs.append(field.duplicate(where, port.nodePort))
        used.add(key)
        key = ("own", port.protocol, port.port)
        if key in used:
            bad_value = type(port)(protocol=port.protocol, port=port.port)
            errs.append(field.duplicate(at.index(position), bad_value))
        used.add(key)


def _affinity(errs: Errors, new: Service) -> None:
    spec, at = new.spec, _SPEC.child("sessionAffinityConfig")
    rules.declared(errs, _SPEC, spec, "sessionAffinity")
    config = spec.sessionAffinityConfig
    if spec.sessionAffinity == "None" and config is not None:
        detail = "must not be set when session affinity is None"
        errs.append(field.forbidden(at, detail))
    if spec.sessionAffinity != "ClientIP":
        return
    client = config.clientIP if config is not None else None
    if client is None or client.timeoutSeconds is None:
        where = at if config is None else at.child("clientIP")
        where = where if client is None else where.child("timeoutSeconds")
        errs.append(field.required(where, "when session affinity type is ClientIP"))
    elif not 0 < client.timeoutSeconds <= _MAX_AFFINITY:
        where = at.child("clientIP", "timeoutSeconds")
        detail = f"must be greater than 0 and less than {_MAX_AFFINITY}"
        errs.append(field.invalid(where, client.timeoutSeconds, detail))


def _external_ips(errs: Errors, addresses: Sequence[str], known: Sequence[str]) -> None:
    for position, address in enumerate(addresses):
        where = _SPEC.child("externalIPs").index(position)
        messages = names.is_legacy_ip(address) if address not in known else []
        rules.add(errs, where, address, messages)
        if not messages:
            rules.endpoint_ip(errs, where, address)


def _source_ranges(errs: Errors, new: Service, old: Service | None) -> None:
    spec = new.spec
    if spec.loadBalancerSourceRanges:
        at = _SPEC.child("LoadBalancerSourceRanges")
        if spec.type != "LoadBalancer":
            errs.append(field.forbidden(at, _BALANCER_ONLY))
        known = {text.strip() for text in old.spec.loadBalancerSourceRanges} if old else set()
        for position, text in enumerate(spec.loadBalancerSourceRanges):
            cidr = text.strip()
            if cidr not in known:
                rules.add(errs, at.index(position), cidr, names.is_legacy_cidr(cidr))
        return
    value = new.metadata.annotations.get(_SOURCE_RANGES)
    if value is None:
        return
    at = field.path("metadata", "annotations").key(_SOURCE_RANGES)
    if spec.type != "LoadBalancer":
        errs.append(field.forbidden(at, _BALANCER_ONLY))
    if value.strip() and (old is None or old.metadata.annotations.get(_SOURCE_RANGES) != value):
        for text in value.strip().split(","):
            rules.add(errs, at, text.strip(), names.is_legacy_cidr(text.strip()))


def _balancer(errs: Errors, new: Service) -> None:
    spec = new.spec
    if spec.type == "LoadBalancer":
        if spec.allocateLoadBalancerNodePorts is None:
            errs.append(field.required(field.path("allocateLoadBalancerNodePorts")))
        if spec.loadBalancerClass is not None:
            check = names.is_qualified_name
            rules.syntax(errs, _SPEC, "loadBalancerClass", spec.loadBalancerClass, check)
        return
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if getattr(spec, name) is not None:
            errs.append(field.forbidden(_SPEC.child(name), _BALANCER_ONLY))


def _traffic(errs: Errors, new: Service) -> None:
    spec, where = new.spec, _SPEC.child("externalTrafficPolicy")
    reachable = spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and bool(spec.externalIPs)
    )
    if reachable:
        policy = spec.externalTrafficPolicy
        rules.required_one_of(errs, _SPEC, "externalTrafficPolicy", policy, _POLICIES)
    elif spec.externalTrafficPolicy:
        detail = "may only be set for externally-accessible services"
        errs.append(field.invalid(where, spec.externalTrafficPolicy, detail))
    health, where = spec.healthCheckNodePort, _SPEC.child("healthCheckNodePort")
    if health and _is_local_balancer(new):
        rules.add(errs, where, health, names.is_port_number(health))
    elif health:
        detail = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        errs.append(field.invalid(where, health, detail))
    if spec.internalTrafficPolicy is not None:
        rules.declared(errs, _SPEC, spec, "internalTrafficPolicy")
    elif spec.type in ("ClusterIP", "NodePort", "LoadBalancer"):
        errs.append(field.required(_SPEC.child("internalTrafficPolicy")))
    rules.declared(errs, _SPEC, spec, "trafficDistribution")


def _is_local_balancer(obj: Service) -> bool:
    return obj.spec.type == "LoadBalancer" and obj.spec.externalTrafficPolicy == "Local"
