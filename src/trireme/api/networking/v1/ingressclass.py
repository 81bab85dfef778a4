"""IngressClass: which controller serves the Ingresses of a class, and with what parameters.

In: IngressClasses. Called by: the write path, server-side printing. Upstream:
pkg/apis/networking/validation, pkg/registry/networking/ingressclass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed
from trireme.machinery.types import Default, Required, Struct, always, constant, null

IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"
_LONGEST_CONTROLLER: Final = 250
_SCOPES: Final = ("Cluster", "Namespace")


class IngressClassParametersReference(Struct):
    apiGroup: str | None = None
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    scope: Annotated[str | None, Default("Cluster")] = null()
    namespace: str | None = None


class IngressClassSpec(Struct):
    controller: str = ""
    parameters: IngressClassParametersReference | None = None


class IngressClass(Struct):
    kind: str = constant("IngressClass")
    apiVersion: str = constant("networking.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: IngressClassSpec = always(IngressClassSpec)


def validate(new: IngressClass) -> Errors:
    """A controller by its path, and what its parameters are."""
    errs: Errors = []
    at, controller = field.path("spec"), new.spec.controller
    if len(controller.encode()) > _LONGEST_CONTROLLER:
        errs.append(field.too_long(at.child("controller"), _LONGEST_CONTROLLER))
    if rules.required(errs, at, "controller", controller):
        rules.syntax(errs, at, "controller", controller, names.is_domain_prefixed_path)
    if new.spec.parameters is not None:
        _parameters(errs, at.child("parameters"), new.spec.parameters)
    return errs


def _parameters(errs: Errors, at: Path, value: IngressClassParametersReference) -> None:
    if value.apiGroup is not None:
        rules.syntax(errs, at, "apiGroup", value.apiGroup, names.is_dns1123_subdomain)
    rules.required_syntax(errs, at, "kind", value.kind, names.is_path_segment)
    rules.required_syntax(errs, at, "name", value.name, names.is_path_segment)
    if value.scope is None:
        errs.append(field.required(at.child("scope")))
    elif value.scope not in _SCOPES:
        errs.append(field.not_supported(at.child("scope"), value.scope, _SCOPES))
    elif value.scope == "Namespace":
        if value.namespace is None:
            detail = "`parameters.scope` is set to 'Namespace'"
            errs.append(field.required(at.child("namespace"), detail))
        else:
            rules.syntax(errs, at, "namespace", value.namespace, names.is_dns1123_label)
    elif value.namespace is not None:
        detail = "`parameters.scope` is set to 'Cluster'"
        errs.append(field.forbidden(at.child("namespace"), detail))


def validate_update(new: IngressClass, old: IngressClass) -> Errors:
    """The controller stays."""
    errs: Errors = []
    at = field.path("spec")
    rules.unchanged(errs, at, "controller", new.spec.controller, old.spec.controller)
    return errs + validate(new)


def _name(obj: IngressClass) -> str:
    is_default = obj.metadata.annotations.get(IS_DEFAULT) == "true"
    return f"{obj.metadata.name} (default)" if is_default else obj.metadata.name


def _reference(obj: IngressClass) -> str:
    reference = obj.spec.parameters
    if reference is None:
        return columns.NONE
    group = "" if reference.apiGroup is None else f".{reference.apiGroup}"
    return f"{reference.kind}{group}/{reference.name}"


RESOURCE = Resource(
    type=IngressClass,
    plural="ingressclasses",
    namespaced=False,
    validate=validate,
    validate_update=validate_update,
    generation=spec_changed,
    columns=(
        replace(columns.NAME, cell=_name),
        Column("Controller", "spec.controller", "Who serves the class."),
        Column("Parameters", _reference, "The object with more settings of the class."),
        columns.AGE,
    ),
)
