"""Random requests over what is published: every operation, with parameters, headers and a body.

In: the server's OpenAPI v3 documents and one good manifest of each kind. Out: ``Ask`` values.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import yaml

from tests.apiserver.fuzz import wire
from tests.apiserver.fuzz.values import NAMES, WORDS, Values, paths

MANIFESTS = Path(__file__).parents[2] / "data" / "manifests"
PATCHES = (
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/apply-patch+cbor",
)  # fmt: skip
MEDIA = (wire.JSON, wire.JSON, wire.JSON, wire.YAML, wire.PROTOBUF, wire.CBOR)
ODD_MEDIA = ("", ";", "text/plain", "application/json;charset=utf-8", "application/json; x", "\xff")
ACCEPT = (
    "", "*/*", "application/json", "application/yaml", wire.PROTOBUF, wire.CBOR, "text/html",
    "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=Table",
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;q=x", "application/*;q=0.1, text/*", "application/vnd.kubernetes.protobuf;"
    "stream=watch", ";;;", ",", "a/b;c=\"", "application/cbor-seq",
)  # fmt: skip
PARAMETERS = (
    "watch", "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector",
    "fieldSelector", "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "dryRun",
    "fieldValidation", "fieldManager", "force", "gracePeriodSeconds", "propagationPolicy",
    "orphanDependents", "includeObject", "container", "tailLines", "pretty", "command", "stdin",
    "ignoreStoreReadErrorWithClusterBreakingPotential", "path", "ports", "sinceTime", "as",
)  # fmt: skip
SETTINGS = (
    *WORDS, "1", "5", "false", "metadata.name=a", "metadata.namespace!=default", "spec.nodeName=",
    "a in (b,c),!d", "a notin ()", "a>5", ",,", "a==b=c", "Foreground", "Background", "Orphan",
    "Strict", "Warn", "Ignore", "Exact", "NotOlderThan", "99999999999999999999", "1.5",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vYSJ9", "²", "a" * 3000,
)  # fmt: skip
HEADERS = (
    ("impersonate-user", "a"), ("impersonate-user", "system:serviceaccount:default:default"),
    ("impersonate-group", "system:masters"), ("impersonate-uid", "x"),
    ("impersonate-extra-%ff", "y"), ("authorization", "Bearer x.y.z"), ("authorization", "Basic"),
    ("user-agent", "\x7f/é"), ("if-none-match", '"x"'), ("if-none-match", "*"),
    ("accept-encoding", "gzip;q=0"), ("upgrade", "SPDY/3.1"), ("connection", "Upgrade"),
    ("impersonate-user", "a\udcff"), ("authorization", "Bearer x\udcff.y.z"),
    ("user-agent", "a\udcff/1"), ("accept", "\udcff"), ("content-type", "\udcff"),
    ("impersonate-extra-a", "\udcff"), ("impersonate-group", "\udcff"), ("upgrade", "\udcff"),
    ("sec-websocket-protocol", "\udcff"), ("x-remote-user", "root"),
    ("audit-id", "\x00"), ("origin", "http://x"),
)  # fmt: skip


_DEFINITION = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
_REMOTE = """{
    "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
    "metadata": {"name": "v1.example.org"},
    "spec": {"group": "example.org", "version": "v1", "groupPriorityMinimum": 1,
             "versionPriority": 1, "service": {"namespace": "default", "name": "a"}}
}"""
_OF_ONE = (
    ("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("PUT", "/status"), ("GET", "/scale"),
    ("PATCH", "/status"), ("PATCH", "/scale"),
)  # fmt: skip
_OPTIONS = ("", "v1", "DeleteOptions")


class Ask(NamedTuple):
    """One request as the transport hands it over."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class _Operation(NamedTuple):
    method: str
    path: str
    kind: tuple[str, str, str] | None  # group, version, kind
    schema: dict[str, Any] | None
    definitions: dict[str, Any]
    parameters: tuple[str, ...] = ()


class Asks:
    """A stream of requests, the same for the same seed and the same documents."""

    def __init__(self, rng: Random, documents: list[dict[str, Any]]) -> None:
        self.rng = rng
        self._operations = [one for document in documents for one in _operations(document)]
        self._manifests = _manifests()
        self._operations += self._custom()
        self._writing = [one for one in self._operations if one.schema is not None]
        # Names that the server gave: the next requests ask for them.
        self.known: list[str] = list(NAMES)

    def _custom(self) -> list[_Operation]:
        """The kinds that the definitions among the manifests make."""
        found = []
        for text in self._manifests[_DEFINITION]:
            spec = json.loads(text)["spec"]
            group, plural, kind = spec["group"], spec["names"]["plural"], spec["names"]["kind"]
            place = "namespaces/{namespace}/" if spec["scope"] == "Namespaced" else ""
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                gvk = (group, version["name"], kind)
                root = f"/apis/{group}/{version['name']}/{place}{plural}"
                for method, path in (("POST", root), ("GET", root), *_OF_ONE):
                    whole = path if path.startswith("/apis") else f"{root}/{{name}}{path}"
                    given = schema if method in ("POST", "PUT", "PATCH") else None
                    found += [_Operation(method, whole, gvk, given, {})] * 2
        return found

    def definitions(self) -> list[Ask]:
        """What a round begins with: the definitions of its custom kinds, and a version that another
        server has, from when on the API server follows Services."""
        path, headers = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {}
        texts = [(path, text) for text in self._manifests[_DEFINITION]]
        texts.append(("/apis/apiregistration.k8s.io/v1/apiservices", _REMOTE))
        return [Ask("POST", path, "", headers, text.encode()) for path, text in texts]

    def next(self) -> Ask:
        rng = self.rng
        if rng.random() < 0.04:
            return self._raw()
        operation = rng.choice(self._writing if rng.random() < 0.7 else self._operations)
        values = Values(rng, operation.definitions)
        method = operation.method
        path = self._path(operation.path)
        headers = {"accept": rng.choice(ACCEPT) if rng.random() < 0.4 else ""}
        data = b""
        if operation.schema is not None or rng.random() < 0.02:
            media, data = self._body(values, operation, path)
            headers["content-type"] = media
            if rng.random() < 0.25:
                data = wire.damaged(rng, data)
        if rng.random() < 0.08:
            name, setting = rng.choice(HEADERS)
            headers[name] = setting
        return Ask(method, path, self._query(operation), headers, data)

    def _raw(self) -> Ask:
        """No operation of ours: bytes wherever a client may put some."""
        rng = self.rng
        operation = rng.choice(self._operations)
        path = wire.damaged(rng, self._path(operation.path).encode()).decode("latin-1")
        method = rng.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"))
        data = rng.randbytes(rng.randrange(200)) if rng.random() < 0.5 else b""
        query = rng.randbytes(rng.randrange(40)).decode("latin-1")
        headers = {
            "content-type": rng.choice((*MEDIA, *ODD_MEDIA, *PATCHES)),
            "accept": rng.randbytes(10).decode("latin-1"),
        }
        return Ask(method, path, query, headers, data)

    def _path(self, template: str) -> str:
        parts = []
        for part in template.split("/"):
            if part == "{namespace}":
                part = self.rng.choice((*["default"] * 12, "kube-system", "none"))
            elif part == "{name}":
                part = quote(self._name().encode("utf-8", "replace"))
            elif part.startswith("{"):
                part = quote(self.rng.choice(WORDS).encode("utf-8", "replace"))
            parts.append(part)
        return "/".join(parts)

    def _name(self) -> str:
        if self.rng.random() < 0.04:
            return self.rng.choice(WORDS)
        if self.rng.random() < 0.6:
            # Most requests meet at the same objects, so that many find one.
            return NAMES[0]
        return self.rng.choice(self.known[-40:] if self.rng.random() < 0.4 else NAMES)

    def _query(self, operation: _Operation) -> str:
        rng = self.rng
        settings = []
        if rng.random() < 0.15 and operation.method in ("POST", "PUT", "PATCH", "DELETE"):
            settings.append("dryRun=All")
        if operation.method == "PATCH" and rng.random() < 0.7:
            settings.append("fieldManager=m")
        if operation.method == "PATCH" and rng.random() < 0.3:
            settings.append("force=true")
        if operation.method == "GET" and rng.random() < 0.15:
            settings.append("watch=1")
        while rng.random() < 0.25:
            setting = rng.choice(SETTINGS).encode("utf-8", "replace")
            named = operation.parameters or PARAMETERS
            name = rng.choice(named if rng.random() < 0.7 else PARAMETERS)
            settings.append(f"{name}={quote(setting)}")
        return "&".join(settings)

    def _object(self, values: Values, operation: _Operation, path: str) -> Any:
        rng = self.rng
        good = self._manifests.get(operation.kind) if operation.kind else None
        if good and rng.random() < 0.75:
            value = json.loads(rng.choice(good))
            for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3))):
                value = values.changed(value)
        else:
            assert operation.schema is not None
            value = values.of(operation.schema)
        if not isinstance(value, dict):
            return value
        if operation.kind and rng.random() < 0.97:
            group, version, kind = operation.kind
            value["apiVersion"] = f"{group}/{version}" if group else version
            value["kind"] = kind
        meta = value.get("metadata")
        if isinstance(meta, dict) and rng.random() < 0.7:
            if operation.path.count("{name}"):
                # The name that the path says, for whatever is below an object.
                parts = dict(zip(operation.path.split("/"), path.split("/"), strict=False))
                meta["name"] = unquote(parts["{name}"])
            elif "generateName" not in meta:
                meta["name"] = self._name()
            if "namespace" in meta or rng.random() < 0.5:
                meta.pop("namespace", None)
            for late in ("uid", "resourceVersion", "deletionTimestamp", "managedFields"):
                if rng.random() < 0.8:
                    meta.pop(late, None)
        return value

    def _body(self, values: Values, operation: _Operation, path: str) -> tuple[str, bytes]:
        rng = self.rng
        if operation.schema is None:
            return wire.JSON, wire.body(rng, values.rubbish(), wire.JSON)
        if rng.random() < 0.02:
            return rng.choice(ODD_MEDIA), wire.body(rng, values.rubbish(), wire.JSON)
        value = self._object(values, operation, path)
        if operation.method != "PATCH":
            media = rng.choice(MEDIA)
            return media, wire.body(rng, value, media)
        media = rng.choice(PATCHES)
        if media == PATCHES[0]:
            value = self._steps(values, value)
        elif media == PATCHES[2] and isinstance(value, dict):
            value = self._directed(values, value)
        form = wire.CBOR if media.endswith("cbor") else wire.JSON
        if media.endswith("yaml"):
            form = rng.choice((wire.YAML, wire.JSON))
        return media, wire.body(rng, value, form)

    def _steps(self, values: Values, value: Any) -> list[Any]:
        """A JSON patch whose paths are mostly there."""
        rng = self.rng
        places = [*paths(value), "", "/", "/metadata/-", "/a~2", "no", "/metadata/labels/x"]
        steps = []
        for _ in range(rng.randrange(6)):
            step = {"op": rng.choice(("add", "remove", "replace", "move", "copy", "test"))}
            step["path"] = rng.choice(places)
            step["from"] = rng.choice(places)
            step["value"] = values.rubbish()
            if rng.random() < 0.1:
                step = values.changed(step)
            steps.append(step)
        return steps

    def _directed(self, values: Values, value: dict[str, Any]) -> dict[str, Any]:
        """A strategic merge patch with directives somewhere in it."""
        rng = self.rng
        holders = [value]
        for holder in holders:
            for item in holder.values():
                inner = item if isinstance(item, list) else [item]
                holders += [one for one in inner if isinstance(one, dict)]
        holder = rng.choice(holders)
        key = rng.choice(list(holder) or ["a"])
        choice = rng.randrange(5)
        if choice == 0:
            holder["$patch"] = rng.choice(("delete", "replace", "merge", "x", 1, None))
        elif choice == 1:
            holder[f"$setElementOrder/{key}"] = rng.choice((holder.get(key), values.rubbish()))
        elif choice == 2:
            holder[f"$deleteFromPrimitiveList/{key}"] = values.rubbish()
        elif choice == 3:
            holder["$retainKeys"] = rng.choice((list(holder), values.rubbish()))
        return value


def _operations(document: dict[str, Any]) -> list[_Operation]:
    definitions = document.get("components", {}).get("schemas", {})
    found = []
    for path, item in document["paths"].items():
        bodies = [
            content["schema"]
            for method in ("post", "put", "patch")
            for content in item.get(method, {}).get("requestBody", {}).get("content", {}).values()
        ]
        for method, said in item.items():
            if method == "parameters":
                continue
            contents = said.get("requestBody", {}).get("content", {}).values()
            schema = next((content["schema"] for content in contents), None)
            if method == "patch" and bodies:
                # The published schema of a patch is any object: that of the kind says more.
                schema = bodies[0]
            kind = said.get("x-kubernetes-group-version-kind")
            gvk = (kind["group"], kind["version"], kind["kind"]) if isinstance(kind, dict) else None
            if method == "delete":
                gvk = _OPTIONS
            parameters = tuple(
                one["name"]
                for one in (*item.get("parameters", ()), *said.get("parameters", ()))
                if one["in"] == "query"
            )
            upper = method.upper()
            found.append(_Operation(upper, path, gvk, schema, definitions, parameters))
    return found


def _manifests() -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text().replace("NAMESPACE", "default")
        for manifest in yaml.safe_load_all(text):
            group, _, version = manifest["apiVersion"].rpartition("/")
            plain = json.dumps(manifest, default=str)
            found.setdefault((group, version, manifest["kind"]), []).append(plain)
    return found
