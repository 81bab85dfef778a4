"""Rules of a webhook's address: a URL, or a Service and a path.

In: the address as it stands in a definition or a webhook configuration. Out: field errors. Called
by: the rules of apiextensions and admissionregistration. Upstream: apiserver ``pkg/util/webhook``.
"""

from __future__ import annotations

from typing import Protocol

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field, gourl, names
from trireme.machinery.field import Path

_FORM = "; desired format: https://host[/path]"


class Service(Protocol):
    """A webhook behind a Service, in whichever group's form."""

    namespace: str
    name: str
    path: str | None
    port: int | None


def url(errs: Errors, text: str, at: Path) -> None:
    """A webhook's address."""
    try:
        parts = gourl.parse(text)
    except ValueError as problem:
        errs.append(field.required(at, f"url must be a valid URL: {problem}{_FORM}"))
        return
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme{_FORM}"
        errs.append(field.invalid(at, parts.scheme, detail))
    if not parts.host:
        errs.append(field.invalid(at, "", f"host must be specified{_FORM}"))
    if parts.user is not None:
        detail = "user information is not permitted in the URL"
        errs.append(field.invalid(at, parts.user, detail))
    if parts.fragment:
        detail = "fragments are not permitted in the URL"
        errs.append(field.invalid(at, parts.fragment, detail))
    if parts.query:
        detail = "query parameters are not permitted in the URL"
        errs.append(field.invalid(at, parts.query, detail))


def service(errs: Errors, reference: Service, at: Path) -> None:
    """A webhook behind a Service."""
    # Upstream's callers hand name and namespace over in each other's place, so the field that an
    # error names is the other one.
    rules.required(errs, at, "name", reference.namespace)
    rules.required(errs, at, "namespace", reference.name)
    port = 443 if reference.port is None else reference.port
    messages = names.is_port_number(port)
    if messages:
        detail = f"port is not valid: {', '.join(messages)}"
        errs.append(field.invalid(at.child("port"), port, detail))
    path, where = reference.path, at.child("path")
    if not path or path == "/":
        return
    if path == "//":
        errs.append(field.invalid(where, path, "segment[0] may not be empty"))
        return
    if not path.startswith("/"):
        errs.append(field.invalid(where, path, "must start with a '/'"))
    for position, step in enumerate(path[1:].removesuffix("/").split("/")):
        if not step:
            errs.append(field.invalid(where, path, f"segment[{position}] may not be empty"))
            continue
        for message in names.is_dns1123_subdomain(step):
            errs.append(field.invalid(where, path, f"segment[{position}]: {message}"))
