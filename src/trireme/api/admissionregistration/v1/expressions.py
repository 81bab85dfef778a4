"""Expressions of webhooks and policies: what they may use, and whether they compile.

In: texts. Out: field errors, or the compiled ``Program``. Called by: the rules of this group,
and by the evaluation of policies. Upstream: apiserver ``pkg/admission/plugin/cel`` (compile,
composition), ``pkg/cel/mutation``; KEP-3488, KEP-3962.

Upstream compiles new expressions with the libraries of the version before, stored ones with all;
v1.36 brings no library, so that there is nothing to tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from trireme.api.rules import Errors
from trireme.expr import cel
from trireme.expr.cel import types as t
from trireme.expr.cel.library import authz, jsonpatch, objects
from trireme.expr.cel.types import Type
from trireme.machinery import field
from trireme.machinery.field import FieldError, Path


def _struct(name: str, fields: Mapping[str, Type]) -> Type:
    members = {key: t.Field(key, type_) for key, type_ in fields.items()}
    return t.struct(f"kubernetes.{name}", members)


_TEXTS: Final = t.list_of(t.STRING)
_LABELS: Final = t.map_of(t.STRING, t.STRING)
_GROUP_VERSION: Final = {"group": t.STRING, "version": t.STRING}
_KIND: Final = _struct("GroupVersionKind", {**_GROUP_VERSION, "kind": t.STRING})
_RESOURCE: Final = _struct("GroupVersionResource", {**_GROUP_VERSION, "resource": t.STRING})
_USER: Final = _struct(
    "UserInfo",
    {
        "username": t.STRING,
        "uid": t.STRING,
        "groups": _TEXTS,
        "extra": t.map_of(t.STRING, _TEXTS),
    },
)
REQUEST: Final = _struct(
    "AdmissionRequest",
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": t.STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": t.STRING,
        "name": t.STRING,
        "namespace": t.STRING,
        "operation": t.STRING,
        "userInfo": _USER,
        "dryRun": t.BOOL,
        "options": t.DYN,
    },
)
_NAMESPACE_SPEC: Final = _struct("NamespaceSpec", {"finalizers": _TEXTS})
_NAMESPACE_CONDITION: Final = _struct(
    "NamespaceCondition",
    {
        "status": t.STRING,
        "type": t.STRING,
        "lastTransitionTime": t.TIMESTAMP,
        "message": t.STRING,
        "reason": t.STRING,
    },
)
_NAMESPACE_STATUS: Final = _struct(
    "NamespaceStatus", {"conditions": t.list_of(_NAMESPACE_CONDITION), "phase": t.STRING}
)
_NAMESPACE_METADATA: Final = _struct(
    "NamespaceMetadata",
    {
        "name": t.STRING,
        "generateName": t.STRING,
        "namespace": t.STRING,
        "labels": _LABELS,
        "annotations": _LABELS,
        "UID": t.STRING,
        "creationTimestamp": t.TIMESTAMP,
        "deletionGracePeriodSeconds": t.INT,
        "deletionTimestamp": t.TIMESTAMP,
        "generation": t.INT,
        "resourceVersion": t.STRING,
        "finalizers": _TEXTS,
    },
)
NAMESPACE: Final = _struct(
    "Namespace",
    {"metadata": _NAMESPACE_METADATA, "spec": _NAMESPACE_SPEC, "status": _NAMESPACE_STATUS},
)
_NAMED: Final = {
    type_.name: type_
    for type_ in (
        _KIND,
        _RESOURCE,
        _USER,
        REQUEST,
        _NAMESPACE_SPEC,
        _NAMESPACE_CONDITION,
        _NAMESPACE_STATUS,
        _NAMESPACE_METADATA,
        NAMESPACE,
    )
}
_ANYTHING: Final = frozenset(
    ("bool", "bytes", "double", "duration", "int", "null_type", "string", "timestamp", "uint")
)
APPLY_CONFIGURATION: Final = objects.OBJECT
PATCHES: Final = t.list_of(jsonpatch.JSON_PATCH)


def _environment(
    params: bool,
    authorizer: bool,
    patches: bool,
    variables: Type | None = None,
    types: Mapping[str, Type] = MappingProxyType({}),
) -> cel.Environment:
    known: dict[str, Type] = {
        "object": t.DYN,
        "oldObject": t.DYN,
        "namespaceObject": NAMESPACE,
        "request": REQUEST,
    }
    if params:
        known["params"] = t.DYN
    known |= types
    if authorizer:
        known["authorizer"] = authz.AUTHORIZER
        known["authorizer.requestResource"] = authz.RESOURCE_CHECK
    named: Mapping[str, Type] = _NAMED
    if variables is not None:
        known["variables"] = variables
        named = {**_NAMED, variables.name: variables}
    if patches:
        named = objects.Types({**named, **jsonpatch.TYPES})
    return cel.Environment(known, extra=jsonpatch.OVERLOADS if patches else (), type_names=named)


_stateless = lru_cache(8)(_environment)


class Refused(ValueError):
    """An expression cannot be used; ``internal``: not because of its text."""

    def __init__(self, detail: str, internal: bool = False) -> None:
        super().__init__(detail)
        self.internal = internal

    def of(self, at: Path, bad_value: str) -> FieldError:
        """The error of the field whose bad value is ``bad_value``."""
        if self.internal:
            return field.internal(at, str(self))
        return field.invalid(at, bad_value, str(self))


class Compiler:
    """Compiles the expressions of one policy.

    ``params`` says whether it has parameters. With ``variables``, each variable that ``variable``
    has compiled can be used by what is compiled after it; ``types`` are then those of objects and
    parameters, as far as they are known.
    """

    def __init__(
        self,
        params: bool,
        variables: bool,
        types: Mapping[str, Type] = MappingProxyType({}),
    ) -> None:
        self.params = params
        self._types = types
        self._fields: dict[str, t.Field] | None = {} if variables else None
        self._variables = (
            None if self._fields is None else t.struct("kubernetes.variables", self._fields)
        )
        self._environments: dict[tuple[bool, bool], cel.Environment] = {}

    def compile(
        self,
        text: str,
        expected: Sequence[Type] = (),
        *,
        authorizer: bool = True,
        patches: bool = False,
    ) -> cel.Program:
        """The program, whose type is one of ``expected`` (none: any). Raises ``Refused``."""
        try:
            program = self.environment(authorizer, patches).compile(text)
        except cel.CelError as error:
            if error.kind == "compile":
                raise Refused(f"compilation failed: {error}") from None
            raise Refused(f"program instantiation failed: {error}", internal=True) from None
        if expected and not any(t.same(program.type, type_) for type_ in expected):
            texts = [_type_text(type_) for type_ in expected]
            which = texts[0] if len(texts) == 1 else f"one of [{' '.join(texts)}]"
            raise Refused(f"must evaluate to {which} but got {_type_text(program.type)}")
        return program

    def variable(self, name: str, text: str) -> cel.Program:
        """The program of a variable, which is known by its name from here on."""
        assert self._fields is not None
        try:
            program = self.compile(text)
        except Refused:
            self._fields[name] = t.Field(name, t.DYN)
            raise
        self._fields[name] = t.Field(name, _visible(program.type))
        return program

    def environment(self, authorizer: bool = True, patches: bool = False) -> cel.Environment:
        """What an expression may use, the variables so far included."""
        if self._variables is None:
            return _stateless(self.params, authorizer, patches)
        key = authorizer, patches
        if key not in self._environments:
            self._environments[key] = _environment(self.params, *key, self._variables, self._types)
        return self._environments[key]


def _type_text(type_: Type) -> str:
    return "null_type" if type_.kind == "null_type" else str(type_)


def _visible(type_: Type) -> Type:
    """The type that a variable shows: what is neither plain nor a list or map of such is dyn."""
    if type_.kind in _ANYTHING:
        return type_
    if type_.kind == "list":
        return t.list_of(_visible(type_.params[0]))
    if type_.kind == "map":
        return t.map_of(_visible(type_.params[0]), _visible(type_.params[1]))
    return t.DYN


def check(
    errs: Errors,
    at: Path,
    compiler: Compiler,
    text: str,
    expected: Sequence[Type],
    *,
    bad_value: str | None = None,
    authorizer: bool = True,
    patches: bool = False,
) -> None:
    """``text`` compiles to one of the ``expected`` types; errors name ``bad_value``, if given."""
    try:
        compiler.compile(text, expected, authorizer=authorizer, patches=patches)
    except Refused as error:
        errs.append(error.of(at, text if bad_value is None else bad_value))
