"""Types of the published API that no kind reaches: discovery, watch events, version. Types only.

Nothing decodes them here; the API server writes them as plain values (``discovery/documents``,
``watch``). Upstream: apimachinery ``meta/v1``, ``version``.
"""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import AnyJSON, Atomic, Required, Struct

_Text = Annotated[str, Required()]


class GroupVersionForDiscovery(Struct):
    groupVersion: _Text = ""
    version: _Text = ""


class ServerAddressByClientCIDR(Struct):
    clientCIDR: _Text = ""
    serverAddress: _Text = ""


class APIVersions(Struct):
    kind: str = ""
    apiVersion: str = ""
    versions: Annotated[list[str], Required(), Atomic()] = []
    serverAddressByClientCIDRs: Annotated[
        list[ServerAddressByClientCIDR], Required(), Atomic()
    ] = []


class APIGroup(Struct):
    kind: str = ""
    apiVersion: str = ""
    name: _Text = ""
    versions: Annotated[list[GroupVersionForDiscovery], Required(), Atomic()] = []
    preferredVersion: GroupVersionForDiscovery | None = None
    serverAddressByClientCIDRs: Annotated[list[ServerAddressByClientCIDR], Atomic()] = []


class APIGroupList(Struct):
    kind: str = ""
    apiVersion: str = ""
    groups: Annotated[list[APIGroup], Required(), Atomic()] = []


class APIResource(Struct):
    name: _Text = ""
    singularName: _Text = ""
    namespaced: Annotated[bool, Required()] = False
    group: str = ""
    version: str = ""
    kind: _Text = ""
    verbs: Annotated[list[str], Required()] = []
    shortNames: Annotated[list[str], Atomic()] = []
    categories: Annotated[list[str], Atomic()] = []
    storageVersionHash: str = ""


class APIResourceList(Struct):
    kind: str = ""
    apiVersion: str = ""
    groupVersion: _Text = ""
    resources: Annotated[list[APIResource], Required(), Atomic()] = []


class WatchEvent(Struct):
    type: _Text = ""
    object: Annotated[AnyJSON, Required()] = None


class Info(Struct):
    """The answer of ``/version``."""

    major: _Text = ""
    minor: _Text = ""
    emulationMajor: str = ""
    emulationMinor: str = ""
    minCompatibilityMajor: str = ""
    minCompatibilityMinor: str = ""
    gitVersion: _Text = ""
    gitCommit: _Text = ""
    gitTreeState: _Text = ""
    buildDate: _Text = ""
    goVersion: _Text = ""
    compiler: _Text = ""
    platform: _Text = ""


# Those that are kinds of the core group.
KINDS = (APIVersions, APIGroup, APIGroupList, APIResourceList)
