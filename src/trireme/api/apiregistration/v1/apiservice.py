"""APIService: which server serves a version of a group, this one or another behind a Service.

In: APIServices. Called by: the write path, server-side printing. Upstream: kube-aggregator
pkg/apis/apiregistration/validation, pkg/registry/apiservice.
"""

from __future__ import annotations

from typing import Annotated, Final

from trireme.api import columns, metadata, rules
from trireme.api.rules import Errors
from trireme.machinery import field, gotext, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)


class ServiceReference(Struct):
    namespace: str = ""
    name: str = ""
    port: Annotated[Int32 | None, Default(443)] = None


class APIServiceSpec(Struct):
    service: ServiceReference | None = None
    group: str = ""
    version: str = ""
    insecureSkipTLSVerify: bool = False
    caBundle: Annotated[bytes, Atomic()] = b""
    groupPriorityMinimum: Annotated[Int32, Required()] = always(int)
    versionPriority: Annotated[Int32, Required()] = always(int)


class APIServiceCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class APIServiceStatus(Struct):
    conditions: Annotated[list[APIServiceCondition], listmap("type"), Merge("type")] = []


class APIService(Struct):
    kind: str = constant("APIService")
    apiVersion: str = constant("apiregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: APIServiceSpec = always(APIServiceSpec)
    status: APIServiceStatus = always(APIServiceStatus)


AVAILABLE: Final = "Available"
_STATUSES: Final = ("True", "False", "Unknown")


def prepare_create(new: APIService) -> None:
    """The Available condition of what this server itself serves."""
    if new.spec.service is None:
        set_condition(new.status, local(), new.metadata.creationTimestamp)


def local() -> APIServiceCondition:
    """What this server itself serves is available."""
    detail = "Local APIServices are always available"
    return APIServiceCondition(type=AVAILABLE, status="True", reason="Local", message=detail)


def is_available(obj: APIService) -> bool:
    """Whether requests for its version can be answered."""
    return any(item.type == AVAILABLE and item.status == "True" for item in obj.status.conditions)


def set_condition(status: APIServiceStatus, desired: APIServiceCondition, now: str | None) -> bool:
    """Add or replace a condition; whether anything changed. Its time moves only with its status."""
    found = next((item for item in status.conditions if item.type == desired.type), None)
    same_status = found is not None and found.status == desired.status
    desired.lastTransitionTime = found.lastTransitionTime if found and same_status else now
    if found == desired:
        return False
    if found is None:
        status.conditions = [*status.conditions, desired]
    else:
        status.conditions = [desired if item is found else item for item in status.conditions]
    return True


def validate(new: APIService) -> Errors:
    """Named by version and group; priorities within bounds; the server's Service and its CA
    bundle."""
    errs: Errors = []
    at, spec = field.path("spec"), new.spec
    desired = f"{spec.version}.{spec.group}"
    for part in ("generateName", "name"):
        name: str = getattr(new.metadata, part)
        if name and name != desired and not names.is_path_segment(name):
            detail = f'must be `spec.version+"."+spec.group`: {gotext.quote(desired)}'
            errs.append(field.invalid(field.path("metadata", part), name, detail))
    if spec.group:
        rules.syntax(errs, at, "group", spec.group, names.is_dns1123_subdomain)
    elif spec.version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        errs.append(field.required(at.child("group"), detail))
    rules.syntax(errs, at, "version", spec.version, names.is_dns1035_label)
    for number, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value: int = getattr(spec, number)
        if not 0 < value <= most:
            detail = f"must be positive and less than {most}"
            errs.append(field.invalid(at.child(number), value, detail))
    if spec.service is None:
        _local(errs, at, spec)
    else:
        _remote(errs, at, spec, spec.service)
    return errs


def _local(errs: Errors, at: Path, spec: APIServiceSpec) -> None:
    if spec.caBundle:
        detail, bad_value = (
            "local APIServices may not have a caBundle",
            f"{len(spec.caBundle)} bytes",
        )
        errs.append(field.invalid(at.child("caBundle"), bad_value, detail))
    if spec.insecureSkipTLSVerify:
        detail = "local APIServices may not have insecureSkipTLSVerify"
        errs.append(field.invalid(at.child("insecureSkipTLSVerify"), True, detail))


def _remote(errs: Errors, at: Path, spec: APIServiceSpec, service: ServiceReference) -> None:
    where = at.child("service")
    rules.required(errs, where, "namespace", service.namespace)
    rules.required(errs, where, "name", service.name)
    port = service.port or 0
    messages = names.is_port_number(port)
    if messages:
        detail = "port is not valid: " + ", ".join(messages)
        errs.append(field.invalid(where.child("port"), port, detail))
    if spec.insecureSkipTLSVerify and spec.caBundle:
        detail = "may not be true if caBundle is present"
        errs.append(field.invalid(at.child("insecureSkipTLSVerify"), True, detail))


def validate_status(new: APIService, _old: APIService) -> Errors:
    """Conditions are true, false or unknown."""
    errs: Errors = []
    at = field.path("status", "conditions")
    for position, item in enumerate(new.status.conditions):
        rules.one_of(errs, at.index(position), "status", item.status, _STATUSES)
    return errs


def _service(obj: APIService) -> str:
    service = obj.spec.service
    return "Local" if service is None else f"{service.namespace}/{service.name}"


def _available(obj: APIService) -> str:
    for item in obj.status.conditions:
        if item.type == AVAILABLE:
            with_reason = item.status != "True" and item.reason
            return f"{item.status} ({item.reason})" if with_reason else item.status
    return "Unknown"


RESOURCE = Resource(
    type=APIService,
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    subresources=(status(),),
    reset_fields={"status": ("spec", "metadata")},
    name_errors=names.is_path_segment,
    prepare_create=prepare_create,
    validate=validate,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    unconditional_update=False,
    columns=(
        columns.NAME,
        Column("Service", _service, "Which Service leads to the server."),
        Column("Available", _available, "Whether the server answers."),
        columns.AGE,
    ),
)
