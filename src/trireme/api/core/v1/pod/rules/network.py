"""Names and name resolution of a pod.

In: the parts of a PodSpec. Out: errors on the list given. Called by: ``spec``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.spec import HostAlias, PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

# What the resolver of libc takes.
_MAX_NAMESERVERS: Final = 3
_MAX_SEARCHES: Final = 32
_MAX_SEARCH_TEXT: Final = 2048
_MAX_HOSTNAME: Final = 64


def dns(errs: Errors, at: Path, spec: PodSpec) -> None:
    """``dnsConfig``, as ``dnsPolicy`` asks for it."""
    config = spec.dnsConfig
    if spec.dnsPolicy == "None":
        if config is None:
            detail = "must provide `dnsConfig` when `dnsPolicy` is None"
            errs.append(field.required(at, detail))
            return
        if not config.nameservers:
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errs.append(field.required(at.child("nameservers"), detail))
            return
    if config is None:
        return
    where = at.child("nameservers")
    if len(config.nameservers) > _MAX_NAMESERVERS:
        detail = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errs.append(field.invalid(where, config.nameservers, detail))
    for position, address in enumerate(config.nameservers):
        rules.add(errs, where.index(position), address, names.is_legacy_ip(address))
    where = at.child("searches")
    if len(config.searches) > _MAX_SEARCHES:
        detail = f"must not have more than {_MAX_SEARCHES} search paths"
        errs.append(field.invalid(where, config.searches, detail))
    if len(" ".join(config.searches).encode()) > _MAX_SEARCH_TEXT:
        detail = (
            f"must not have more than {_MAX_SEARCH_TEXT} characters (including spaces) in the "
            "search list"
        )
        errs.append(field.invalid(where, config.searches, detail))
    for position, search in enumerate(config.searches):
        if search != ".":
            domain = search.removesuffix(".")
            messages = names.is_dns1123_subdomain_with_underscore(domain)
            rules.add(errs, where.index(position), domain, messages)
    for position, option in enumerate(config.options):
        if not option.name:
            where = at.child("options").index(position)
            errs.append(field.required(where, "must not be empty"))


def host_aliases(errs: Errors, at: Path, items: Sequence[HostAlias]) -> None:
    """``hostAliases``."""
    for position, item in enumerate(items):
        here = at.index(position)
        rules.syntax(errs, here, "ip", item.ip, names.is_legacy_ip)
        for number, hostname in enumerate(item.hostnames):
            where = here.child("hostnames").index(number)
            rules.add(errs, where, hostname, names.is_dns1123_subdomain(hostname))


def host_name(errs: Errors, at: Path, spec: PodSpec) -> None:
    """``hostname``, ``subdomain`` and ``hostnameOverride``."""
    if spec.hostname:
        rules.syntax(errs, at, "hostname", spec.hostname, names.is_dns1123_label)
    if spec.subdomain:
        rules.syntax(errs, at, "subdomain", spec.subdomain, names.is_dns1123_label)
    override = spec.hostnameOverride
    if override is None:
        return
    where = at.child("hostnameOverride")
    if spec.setHostnameAsFQDN:
        detail = "may not be specified when setHostnameAsFQDN is true"
        errs.append(field.forbidden(where, detail))
    if spec.hostNetwork:
        errs.append(field.forbidden(where, "may not be specified when hostNetwork is true"))
    if len(override.encode()) > _MAX_HOSTNAME:
        errs.append(field.too_long(where, _MAX_HOSTNAME))
    rules.add(errs, where, override, names.is_dns1123_subdomain(override))


def host_ports(errs: Errors, at: Path, spec: PodSpec, context: PodContext) -> None:
    """With the host's network a port is the host's: the two numbers agree.

    A template may leave the host port out; the pod's defaults fill it in.
    """
    if not spec.hostNetwork:
        return
    for position, container in enumerate(spec.containers):
        for number, port in enumerate(container.ports):
            given = context.is_pod or port.hostPort
            if given and port.hostPort != port.containerPort:
                where = at.child("containers").index(position).child("ports").index(number)
                detail = "must match `containerPort` when `hostNetwork` is true"
                errs.append(field.invalid(where.child("hostPort"), port.hostPort, detail))
