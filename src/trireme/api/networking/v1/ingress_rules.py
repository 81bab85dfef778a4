"""Rules of Ingresses.

In: Ingresses, and on update the stored ones, whose old errors are tolerated. Out: field errors.
Called by: ``ingress``. Upstream: pkg/apis/networking/validation.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.core.v1.references import TypedLocalObjectReference
from trireme.api.networking.v1.ingress_types import (
    HTTPIngressPath,
    Ingress,
    IngressBackend,
    IngressRule,
    IngressTLS,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
_SPEC: Final = field.path("spec")
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS: Final = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_THE_END: Final = ("/..", "/.")
_NO_ADDRESS: Final = "must be a DNS name, not an IP address"


def validate(new: Ingress) -> Errors:
    """A new Ingress: annotation and field name the same class."""
    errs = _whole(new, secrets=True, wildcards=True)
    noted, name = new.metadata.annotations.get(CLASS_ANNOTATION), new.spec.ingressClassName
    if noted is not None and name is not None and noted != name:
        detail = "must match `ingressClassName` when both are specified"
        errs.append(field.invalid(field.path("annotations", CLASS_ANNOTATION), noted, detail))
    return errs


def validate_update(new: Ingress, old: Ingress) -> Errors:
    """Names of Secrets, and rules of wildcard hosts, that were invalid before may stay so."""
    bad_secret = any(
        item.secretName and names.is_dns1123_subdomain(item.secretName) for item in old.spec.tls
    )
    return _whole(new, secrets=not bad_secret, wildcards=not _bad_wildcard(old))


def _bad_wildcard(old: Ingress) -> bool:
    for item in old.spec.rules:
        errs: Errors = []
        if "*" in item.host:
            _http(errs, _SPEC, item)
        if errs:
            return True
    return False


def validate_status(new: Ingress, old: Ingress) -> Errors:
    """Addresses, and names that are no addresses. Addresses that were there may stay."""
    errs: Errors = []
    at = field.path("status", "loadBalancer", "ingress")
    known = {item.ip for item in old.status.loadBalancer.ingress}
    for position, item in enumerate(new.status.loadBalancer.ingress):
        here = at.index(position)
        if item.ip and item.ip not in known:
            rules.syntax(errs, here, "ip", item.ip, names.is_legacy_ip)
        if item.hostname:
            rules.syntax(errs, here, "hostname", item.hostname, names.is_dns1123_subdomain)
            if names.parse_ip_sloppy(item.hostname) is not None:
                errs.append(field.invalid(here.child("hostname"), item.hostname, _NO_ADDRESS))
    return errs


def _whole(new: Ingress, *, secrets: bool, wildcards: bool) -> Errors:
    errs: Errors = []
    spec = new.spec
    if not spec.rules and spec.defaultBackend is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errs.append(field.invalid(_SPEC, spec.rules, detail))
    if spec.defaultBackend is not None:
        _backend(errs, _SPEC.child("defaultBackend"), spec.defaultBackend)
    for position, item in enumerate(spec.rules):
        here = _SPEC.child("rules").index(position)
        _rule_host(errs, here.child("host"), item.host)
        if wildcards or "*" not in item.host:
            _http(errs, here, item)
    for position, tls in enumerate(spec.tls):
        _tls(errs, _SPEC.child("tls").index(position), tls, secrets)
    if spec.ingressClassName is not None:
        name = spec.ingressClassName
        rules.syntax(errs, _SPEC, "ingressClassName", name, names.is_dns1123_subdomain)
    return errs


def _host(errs: Errors, at: Path, host: str) -> None:
    check = names.is_wildcard_dns1123_subdomain if "*" in host else names.is_dns1123_subdomain
    rules.add(errs, at, host, check(host))


def _rule_host(errs: Errors, at: Path, host: str) -> None:
    if host:
        if names.parse_ip_sloppy(host) is not None:
            errs.append(field.invalid(at, host, _NO_ADDRESS))
        _host(errs, at, host)


def _tls(errs: Errors, at: Path, tls: IngressTLS, secrets: bool) -> None:
    for position, host in enumerate(tls.hosts):
        _host(errs, at.child("hosts").index(position), host)
    if secrets and tls.secretName:
        rules.syntax(errs, at, "secretName", tls.secretName, names.is_dns1123_subdomain)


def _http(errs: Errors, at: Path, rule: IngressRule) -> None:
    if rule.http is None:
        return
    where = at.child("http", "paths")
    if not rule.http.paths:
        errs.append(field.required(where))
    for position, item in enumerate(rule.http.paths or []):
        _path(errs, where.index(position), item)


def _path(errs: Errors, at: Path, item: HTTPIngressPath) -> None:
    kind, path, where = item.pathType, item.path, at.child("path")
    if kind is None:
        errs.append(field.required(at.child("pathType"), "pathType must be specified"))
        return
    if kind not in _PATH_TYPES:
        errs.append(field.not_supported(at.child("pathType"), kind, _PATH_TYPES))
    else:
        if not path.startswith("/") and (path or kind != "ImplementationSpecific"):
            errs.append(field.invalid(where, path, "must be an absolute path"))
        if kind != "ImplementationSpecific":
            for text in _NOT_IN_PATHS:
                if text in path:
                    errs.append(field.invalid(where, path, f"must not contain '{text}'"))
            for text in _NOT_AT_THE_END:
                if path.endswith(text):
                    errs.append(field.invalid(where, path, f"cannot end with '{text}'"))
    _backend(errs, at.child("backend"), item.backend)


def _backend(errs: Errors, at: Path, backend: IngressBackend) -> None:
    service = backend.service
    if backend.resource is not None:
        if service is not None:
            detail = "cannot set both resource and service backends"
            errs.append(field.invalid(at, "", detail))
        else:
            _resource(errs, at.child("resource"), backend.resource)
        return
    if service is None:
        errs.append(field.invalid(at, "", "resource or service backend is required"))
        return
    where = at.child("service")
    rules.required_syntax(errs, where, "name", service.name, names.is_dns1123_label)
    port = service.port
    if port.name and port.number:
        errs.append(field.invalid(at, "", "cannot set both port name & port number"))
    elif port.name:
        rules.syntax(errs, where.child("port"), "name", port.name, names.is_port_name)
    elif port.number:
        messages = names.is_port_number(port.number)
        rules.add(errs, where.child("port", "number"), port.number, messages)
    else:
        errs.append(field.required(at, "port name or number is required"))


def _resource(errs: Errors, at: Path, reference: TypedLocalObjectReference) -> None:
    if reference.apiGroup is not None:
        rules.syntax(errs, at, "apiGroup", reference.apiGroup, names.is_dns1123_subdomain)
    rules.required_syntax(errs, at, "kind", reference.kind, names.is_path_segment)
    rules.required_syntax(errs, at, "name", reference.name, names.is_path_segment)
