"""The definitions of our own types, read from their annotations: OpenAPI v3 component schemas.

In: the catalog of kinds. Out: name → schema for every type that a kind reaches, its lists, and what
every API has; without descriptions (``descriptions`` adds them). A type that several versions of a
group share is published once for each. Upstream: kube-openapi ``pkg/generators`` and
``pkg/builder3``; apiserver ``pkg/endpoints/openapi``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from trireme.apiserver.openapi import general_types
from trireme.machinery import meta, status
from trireme.machinery.resource import Resource
from trireme.machinery.schema import node as nodes
from trireme.machinery.schema import tree
from trireme.machinery.schema.node import Node

REF: Final = "#/components/schemas/"
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
GVK: Final = "x-kubernetes-group-version-kind"
_MAP_TYPE: Final = "x-kubernetes-map-type"
_RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
# The packages of types that are not in k8s.io/api.
_HOMES: Final[Mapping[str, str]] = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "metrics": "io.k8s.metrics.pkg.apis.metrics",
}
# Texts with a definition of their own, by their format.
_FORMATS: Final[Mapping[str, str]] = {
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "int-or-string": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "date-time": META + "Time",
    "micro-time": META + "MicroTime",
}
# Types with marshalling of their own: no struct declares them.
_PLAIN: Final[Mapping[str, dict[str, Any]]] = {
    _FORMATS["quantity"]: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    _FORMATS["int-or-string"]: {
        "oneOf": [{"type": "integer"}, {"type": "string"}],
        "format": "int-or-string",
    },
    META + "Time": {"type": "string", "format": "date-time"},
    META + "MicroTime": {"type": "string", "format": "date-time"},
    META + "FieldsV1": {"type": "object"},
    META + "Patch": {"type": "object"},
    _RAW_EXTENSION: {"type": "object"},
    _EXTENSIONS + "JSON": {},
    _EXTENSIONS + "JSONSchemaPropsOrArray": {},
    _EXTENSIONS + "JSONSchemaPropsOrBool": {},
    _EXTENSIONS + "JSONSchemaPropsOrStringArray": {},
}
# Types of which one field is set: the field that says which, and the fields (``+union``).
_UNIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "io.k8s.api.core.v1.AppArmorProfile": ("type", ("localhostProfile",)),
    "io.k8s.api.core.v1.PodSchedulingGroup": ("", ("podGroupName",)),
    "io.k8s.api.core.v1.SeccompProfile": ("type", ("localhostProfile",)),
    "io.k8s.api.flowcontrol.v1.LimitResponse": ("type", ("queuing",)),
    "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec": ("type", ("exempt", "limited")),
    "io.k8s.api.flowcontrol.v1.Subject": ("kind", ("group", "serviceAccount", "user")),
    "io.k8s.api.scheduling.v1alpha2.PodGroupSchedulingPolicy": ("", ("basic", "gang")),
    "io.k8s.api.scheduling.v1alpha2.PodGroupTemplateReference": ("", ("workload",)),
}
# Versions that upstream still knows and no longer serves: these kinds belong to every version.
_OLD_VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "admission.k8s.io": ("v1", "v1beta1"),
    "apiextensions.k8s.io": ("v1beta1",),
    "apiregistration.k8s.io": ("v1beta1",),
    "apps": ("v1beta1", "v1beta2"),
    "authentication.k8s.io": ("v1alpha1", "v1beta1"),
    "authorization.k8s.io": ("v1beta1",),
    "batch": ("v1beta1",),
    "discovery.k8s.io": ("v1beta1",),
    "events.k8s.io": ("v1beta1",),
    "extensions": ("v1beta1",),
    "flowcontrol.apiserver.k8s.io": ("v1beta1", "v1beta2", "v1beta3"),
    "imagepolicy.k8s.io": ("v1alpha1",),
    "node.k8s.io": ("v1alpha1", "v1beta1"),
    "policy": ("v1beta1",),
    "rbac.authorization.k8s.io": ("v1alpha1", "v1beta1"),
    "scheduling.k8s.io": ("v1beta1",),
    "storage.k8s.io": ("v1alpha1",),
}


class _Place(NamedTuple):
    """Where a type is declared: ``apps``, ``v1``; ``meta`` for those of apimachinery."""

    group: str
    version: str

    @staticmethod
    def of(struct: type) -> _Place:
        parts = struct.__module__.split(".")
        if parts[2] == "resource_metrics":
            return _Place("metrics", "v1beta1")
        if parts[1] != "api":
            return _Place("meta", "v1")
        # trireme.api.GROUP.VERSION[.FILE]
        return _Place(parts[2], parts[3])

    def name(self, struct: type) -> str:
        if self.group == "meta":
            home = "io.k8s.apimachinery.pkg.version" if struct is general_types.Info else META[:-1]
            return f"{home}.{struct.__name__}"
        home = _HOMES.get(self.group, f"io.k8s.api.{self.group}")
        return f"{home}.{self.version}.{struct.__name__}"


def definitions(
    resources: Iterable[Resource], others: Iterable[Resource] = ()
) -> dict[str, dict[str, Any]]:
    """The definitions of kinds, of all that they reach, and of what every group's document has.
    ``others`` are kinds that upstream leaves to another server."""
    resources = tuple(resources)
    made = _Definitions()
    for resource in (*resources, *others):
        made.kind(resource)
    made.add(general_types.Info)
    for core in (*general_types.KINDS, status.Status):
        made.add(core)[GVK] = [_gvk("", "v1", core.__name__)]
    served = {(resource.group, resource.version) for resource in resources}
    old = {(group, version) for group, those in _OLD_VERSIONS.items() for version in those}
    for every in (meta.DeleteOptions, general_types.WatchEvent):
        made.add(every)[GVK] = [_gvk(*key, every.__name__) for key in sorted(served | old)]
    return made.schemas | {name: dict(schema) for name, schema in _PLAIN.items()}


class _Definitions:
    def __init__(self) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}

    def kind(self, resource: Resource) -> None:
        """A kind, its list, and what its subresources read and write."""
        group, version, kind = resource.group, resource.version, resource.kind
        place = _Place.of(resource.type)
        self.add(resource.type)[GVK] = [_gvk(group, version, kind)]
        for subresource in resource.subresources:
            if subresource.type is not None:
                schema = self.add(subresource.type)
                own: Any = subresource.type()
                if GVK not in schema and getattr(own, "apiVersion", None):
                    owner, _, since = own.apiVersion.rpartition("/")
                    schema[GVK] = [_gvk(owner, since, own.kind)]
        if "list" not in resource.verbs:
            return
        self.add(meta.ListMeta)
        item = {"$ref": REF + place.name(resource.type)}
        self.schemas[place.name(resource.type) + "List"] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "items": {"type": "array", "items": item},
                "kind": {"type": "string"},
                "metadata": {"$ref": REF + META + "ListMeta"},
            },
            GVK: [_gvk(group, version, f"{kind}List")],
        }

    def add(self, struct: type) -> dict[str, Any]:
        """The definition of a type where it is declared."""
        return self._add(tree.of(struct), struct, _Place.of(struct))

    def _add(self, node: Node, struct: type, place: _Place) -> dict[str, Any]:
        name = place.name(struct)
        known = self.schemas.get(name)
        if known is not None:
            return known
        # Known before its fields are: a type may contain itself.
        schema = self.schemas[name] = {"type": "object"}
        fields = node.fields
        if fields:
            schema["properties"] = {key: self._field(fields[key], place) for key in sorted(fields)}
        required = [key for key, field in fields.items() if field.required]
        if required:
            schema["required"] = required
        if node.atomic:
            schema[_MAP_TYPE] = "atomic"
        if name in _UNIONS:
            schema["x-kubernetes-unions"] = [_union(*_UNIONS[name])]
        return schema

    def _field(self, node: Node, place: _Place) -> dict[str, Any]:
        schema = self._value(node, place)
        if node.granular:
            schema[_MAP_TYPE] = "granular"
        list_type = "atomic" if node.kind == nodes.BYTES and node.atomic else node.list_type
        if list_type:
            schema["x-kubernetes-list-type"] = list_type
        if node.list_keys:
            schema["x-kubernetes-list-map-keys"] = list(node.list_keys)
        strategies = {"merge": node.merge, "replace": node.replace, "retainKeys": node.retain_keys}
        strategy = ",".join(name for name, given in strategies.items() if given)
        if strategy:
            schema["x-kubernetes-patch-strategy"] = strategy
        if node.merge_key:
            schema["x-kubernetes-patch-merge-key"] = node.merge_key
        return beside_reference(schema)

    def _value(self, node: Node, place: _Place) -> dict[str, Any]:
        if node.format in _FORMATS:
            return {"$ref": REF + _FORMATS[node.format]}
        match node.kind:
            case nodes.OBJECT:
                return {"$ref": REF + self._reference(node, place)}
            case nodes.LIST:
                assert node.item is not None
                return {"type": "array", "items": self._value(node.item, place)}
            case nodes.MAP:
                assert node.item is not None
                schema = {"type": "object", "additionalProperties": self._value(node.item, place)}
                return schema | ({_MAP_TYPE: "atomic"} if node.atomic else {})
            case nodes.BYTES:
                return {"type": "string", "format": "byte"}
            case nodes.INTEGER:
                return {
                    "type": "integer",
                    "format": "int32" if node.go_type == "int32" else "int64",
                }
            case nodes.NUMBER:
                return {"type": "number", "format": "double"}
            case nodes.BOOLEAN | nodes.STRING:
                return {"type": node.kind}
            case nodes.RAW:
                return {"$ref": REF + META + "FieldsV1"}
        own = place.group == "apiextensions"
        return {"$ref": REF + (_EXTENSIONS + "JSON" if own else _RAW_EXTENSION)}

    def _reference(self, node: Node, place: _Place) -> str:
        """The name of an object's definition, which is made if it is not there."""
        struct = tree.struct_of(node)
        assert struct is not None
        declared = _Place.of(struct)
        # A version's own type may merge otherwise than the one that it shares with a newer one.
        shared = declared.group == place.group and declared != place
        self._add(node if shared else tree.of(struct), struct, place if shared else declared)
        name = (place if shared else declared).name(struct)
        for other in node.alternatives:
            if other.item is None:
                return name + "OrBool"
            return name + ("OrArray" if other.item.kind == nodes.OBJECT else "OrStringArray")
        return name


def beside_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with its reference in ``allOf`` where other keywords stand beside it."""
    if len(schema) > 1 and "$ref" in schema:
        return {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    return schema


def _union(discriminator: str, fields: tuple[str, ...]) -> dict[str, Any]:
    named = {"discriminator": discriminator} if discriminator else {}
    by = {name: name[0].upper() + name[1:] for name in fields}
    return {**named, "fields-to-discriminateBy": by}


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "kind": kind, "version": version}
