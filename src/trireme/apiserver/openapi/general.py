"""The published operations outside the kinds: versions, discovery, keys of tokens. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trireme.apiserver.openapi import paths

_REF = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
VERSION_INFO = "io.k8s.apimachinery.pkg.version.Info"
JSON = "application/json"


def core(media: tuple[str, ...]) -> dict[str, Any]:
    """/api/."""
    operation = _get("core", "getCoreAPIVersions", _META + "APIVersions", _plain(media))
    return {"/api/": {"get": operation}}


def all_groups(media: tuple[str, ...]) -> dict[str, Any]:
    """/apis/."""
    operation = _get("apis", "getAPIVersions", _META + "APIGroupList", _plain(media))
    return {"/apis/": {"get": operation}}


def group(name: str, media: tuple[str, ...]) -> dict[str, Any]:
    """/apis/<group>/."""
    named = f"get{paths.group_name(name)}APIGroup"
    operation = _get(paths.tag(name), named, _META + "APIGroup", _plain(media))
    return {f"/apis/{name}/": {"get": operation}}


def group_version(name: str, version: str, media: tuple[str, ...]) -> dict[str, Any]:
    """/api/v1/ or /apis/<group>/<version>/."""
    base = f"/apis/{name}/{version}/" if name else f"/api/{version}/"
    named = f"get{paths.group_name(name)}{paths.title(version)}APIResources"
    operation = _get(paths.tag(name, version), named, _META + "APIResourceList", media)
    return {base: {"get": operation}}


def version() -> dict[str, Any]:
    """/version/."""
    return {"/version/": {"get": _get("version", "getCodeVersion", VERSION_INFO, (JSON,))}}


def configuration() -> dict[str, Any]:
    """/.well-known/openid-configuration/."""
    name = "getServiceAccountIssuerOpenIDConfiguration"
    operation = _get("WellKnown", name, "", (JSON,))
    return {"/.well-known/openid-configuration/": {"get": operation}}


def key_set() -> dict[str, Any]:
    """/openid/v1/jwks/."""
    name = "getServiceAccountIssuerOpenIDKeyset"
    operation = _get("openid", name, "", ("application/jwk-set+json",))
    return {"/openid/v1/jwks/": {"get": operation}}


def _plain(media: Iterable[str]) -> tuple[str, ...]:
    """The media types of documents that know no CBOR."""
    return tuple(each for each in media if not each.endswith("cbor"))


def _get(tag: str, name: str, answer: str, media: Iterable[str]) -> dict[str, Any]:
    schema = {"$ref": _REF + answer} if answer else {"type": "string"}
    content = {each: {"schema": schema} for each in media}
    return {
        "tags": [tag],
        "operationId": name,
        "responses": {
            "200": {"description": "OK", "content": content},
            "401": {"description": "Unauthorized"},
        },
    }
