"""The published operations of a kind: paths, parameters, bodies and answers. Pure.

In: a ``Resource``, the media types that are served, and how a kind's definition is named. Out:
OpenAPI v3 path items, each operation with ``x-kubernetes-action`` and
``x-kubernetes-group-version-kind``. Upstream: apiserver ``endpoints/installer.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trireme.apiserver.openapi import parameters
from trireme.machinery.resource import Resource, Subresource

_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_OPTIONS = _META + "DeleteOptions"
_STATUS = _META + "Status"
_CBOR = "application/cbor"
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_METHODS = {
    "create": "post",
    "get": "get",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
}
_CODES = {
    "post": (200, 201, 202),
    "put": (200, 201),
    "patch": (200, 201),
    "delete": (200, 202),
}
_TEXTS = {200: "OK", 201: "Created", 202: "Accepted"}
# Media types of a custom resource's patches: it has no strategic merge.
CUSTOM_PATCHES = tuple(media for media in PATCHES if "strategic" not in media)

# (group, version, kind) -> the definition's name.
Named = Callable[[str, str, str], str]


@dataclass(frozen=True)
class Style:
    """What holds for all operations: the media types served, and the names of definitions."""

    media: tuple[str, ...]
    named: Named
    patches: tuple[str, ...] = PATCHES

    @property
    def streams(self) -> tuple[str, ...]:
        """The media types of a watch."""
        watched = [
            f"{media};stream=watch" for media in self.media if media.endswith(("json", "buf"))
        ]
        return (*watched, "application/cbor-seq") if _CBOR in self.media else tuple(watched)

    @property
    def patch_media(self) -> tuple[str, ...]:
        cbor = ("application/apply-patch+cbor",) if _CBOR in self.media else ()
        return (*self.patches, *cbor)


def of(resource: Resource, style: Style) -> dict[str, Any]:
    """Path → path item for a kind, its collection, its watches and its subresources."""
    maker = _Maker(resource, style)
    maker.collection()
    maker.item()
    for sub in resource.subresources:
        maker.subresource(sub)
    maker.watches()
    return {path: _item(path, operations) for path, operations in maker.found.items()}


def _item(path: str, operations: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A path item: what every operation takes stands beside them, once."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    shared = set.intersection(*(set(each["parameters"]) for each in operations.values()))
    item: dict[str, Any] = {}
    for method, operation in operations.items():
        own = [name for name in operation["parameters"] if name not in shared]
        merged = operation | {"parameters": [parameters.query(name) for name in sorted(own)]}
        if not own:
            del merged["parameters"]
        item[method] = merged
    common = [parameters.path(name) for name in names]
    common += [parameters.query(name) for name in shared]
    if common:
        item["parameters"] = sorted(common, key=lambda each: (each["name"], each["in"]))
    return item


class _Maker:
    """Collects the operations of one kind: path → method → operation."""

    def __init__(self, resource: Resource, style: Style) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._resource, self._style = resource, style
        base = f"/apis/{resource.group}" if resource.group else "/api"
        self._base = f"{base}/{resource.version}"
        within = "/namespaces/{namespace}" if resource.namespaced else ""
        self._collection = f"{within}/{resource.plural}"
        self._schema = style.named(resource.group, resource.version, resource.kind)
        self._list = style.named(resource.group, resource.version, f"{resource.kind}List")
        self._gv = group_name(resource.group) + title(resource.version)
        self._scoped = "Namespaced" if resource.namespaced else ""

    def collection(self) -> None:
        """list, create and deletecollection."""
        resource, kind = self._resource, self._resource.kind
        path, verbs = self._collection, self._resource.verbs
        if "list" in verbs:
            self._list_at(path, f"list{self._gv}{self._scoped}{kind}")
            if resource.namespaced:
                self._list_at(f"/{resource.plural}", f"list{self._gv}{kind}ForAllNamespaces")
        if "create" in verbs:
            name = f"create{self._gv}{self._scoped}{kind}"
            self._add(path, "post", name, "post", parameters.WRITE, self._schema, self._schema)
        if "deletecollection" in verbs:
            name = f"delete{self._gv}Collection{self._scoped}{kind}"
            query = parameters.DELETE_MANY
            self._add(path, "delete", name, "deletecollection", query, _STATUS, _OPTIONS)

    def item(self) -> None:
        """get, update, patch and delete."""
        verbs = [verb for verb in ("get", "update", "patch", "delete") if verb in self._verbs]
        self._object(f"{self._collection}/{{name}}", verbs, self._schema, "", None)

    def subresource(self, sub: Subresource) -> None:
        path = f"{self._collection}/{{name}}/{sub.name}"
        if sub.kind in parameters.CONNECT:
            self._connect(path, sub)
            if "path" in parameters.CONNECT[sub.kind]:
                self._connect(f"{path}/{{path}}", sub, "WithPath")
            return
        gvk = None
        schema = self._schema
        if sub.type is not None:
            identity = sub.type()
            group, slash, version = identity.apiVersion.rpartition("/")
            gvk = (group if slash else "", version, identity.kind)
            schema = self._style.named(*gvk)
        suffix = title(sub.name)
        if "create" in sub.verbs:
            name = f"create{self._gv}{self._scoped}{self._resource.kind}{suffix}"
            self._add(path, "post", name, "post", parameters.WRITE, schema, schema, gvk)
        verbs = [verb for verb in ("get", "update", "patch") if verb in sub.verbs]
        self._object(path, verbs, schema, suffix, gvk)

    def watches(self) -> None:
        """The old paths of watches."""
        if "watch" not in self._verbs:
            return
        resource, kind = self._resource, self._resource.kind
        name = f"watch{self._gv}{self._scoped}{kind}"
        self._watch(self._collection, f"{name}List", "watchlist")
        if "get" in self._verbs:
            self._watch(f"{self._collection}/{{name}}", name, "watch")
        if resource.namespaced:
            everywhere = f"watch{self._gv}{kind}ListForAllNamespaces"
            self._watch(f"/{resource.plural}", everywhere, "watchlist")

    @property
    def _verbs(self) -> tuple[str, ...]:
        return self._resource.verbs

    def _list_at(self, path: str, name: str) -> None:
        media = (*self._style.media, *self._style.streams)
        self._add(path, "get", name, "list", parameters.LIST, self._list, media=media)

    def _watch(self, path: str, name: str, action: str) -> None:
        media = (*self._style.media, *self._style.streams)
        answer = _META + "WatchEvent"
        self._add(f"/watch{path}", "get", name, action, parameters.LIST, answer, media=media)

    def _object(
        self,
        path: str,
        verbs: Iterable[str],
        schema: str,
        suffix: str,
        gvk: tuple[str, str, str] | None,
    ) -> None:
        end = f"{self._gv}{self._scoped}{self._resource.kind}{suffix}"
        query: tuple[str, ...]
        for verb in verbs:
            if verb == "get":
                log = suffix == "Log"
                query = parameters.LOG if log else ()
                media = ("text/plain", *self._style.media) if log else None
                answer = None if log else schema
                self._add(path, "get", f"read{end}", "get", query, answer, "", gvk, media=media)
            elif verb == "update":
                query = parameters.WRITE
                self._add(path, "put", f"replace{end}", "put", query, schema, schema, gvk)
            elif verb == "patch":
                self._add(
                    path,
                    "patch",
                    f"patch{end}",
                    "patch",
                    parameters.PATCH,
                    schema,
                    _META + "Patch",
                    gvk,
                    consumes=self._style.patch_media,
                )
            else:
                gone = schema if self._resource.returns_deleted else _STATUS
                query = parameters.DELETE
                self._add(path, "delete", f"delete{end}", "delete", query, gone, _OPTIONS, gvk)

    def _connect(self, path: str, sub: Subresource, ending: str = "") -> None:
        methods = [_METHODS[verb] for verb in sub.verbs]
        if len(methods) == len(_METHODS):
            methods += ["head", "options"]
        gvk = (self._resource.group, self._resource.version, sub.kind)
        for method in sorted(methods):
            name = f"connect{self._gv}{title(method)}{self._scoped}{self._resource.kind}"
            name += title(sub.name) + ending
            query = parameters.CONNECT[sub.kind]
            self._add(path, method, name, "connect", query, None, "", gvk, media=("*/*",))

    def _add(
        self,
        path: str,
        method: str,
        name: str,
        action: str,
        query: Iterable[str],
        answer: str | None,
        body: str = "",
        gvk: tuple[str, str, str] | None = None,
        *,
        media: tuple[str, ...] | None = None,
        consumes: tuple[str, ...] = ("*/*",),
    ) -> None:
        resource = self._resource
        group, version, kind = gvk or (resource.group, resource.version, resource.kind)
        schema = {"$ref": _REF + answer} if answer else {"type": "string"}
        content = {each: {"schema": schema} for each in media or self._style.media}
        responses: dict[str, Any] = {
            str(code): {"description": _TEXTS[code], "content": content} for code in _codes(action)
        }
        responses["401"] = {"description": "Unauthorized"}
        operation: dict[str, Any] = {
            "tags": [tag(resource.group, resource.version)],
            "description": f"{action} {resource.kind}",
            "operationId": name,
            "parameters": [*query] if action == "connect" else [*query, "pretty"],
            "responses": responses,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        }
        if body:
            content = {each: {"schema": {"$ref": _REF + body}} for each in consumes}
            operation["requestBody"] = {"content": content}
            if action not in ("delete", "deletecollection"):
                operation["requestBody"]["required"] = True
        if action in ("watch", "watchlist"):
            operation["deprecated"] = True
        self.found.setdefault(self._base + path, {})[method] = operation


def _codes(action: str) -> tuple[int, ...]:
    return _CODES.get(action, (200,))


def title(text: str) -> str:
    """The text with a capital letter in front."""
    return text[:1].upper() + text[1:]


def group_name(group: str) -> str:
    """A group as it stands in operation names: ``RbacAuthorization``, ``Core``."""
    parts = (group.removesuffix(".k8s.io") if group else "core").split(".")
    return "".join(title(part) for part in parts)


def tag(group: str, version: str = "") -> str:
    """What operations of a group and version are filed under: ``rbacAuthorization_v1``."""
    name = group_name(group)
    return f"{name[:1].lower()}{name[1:]}" + (f"_{version}" if version else "")
