"""What a server serves: every resource, built in or not.

In: a client. Out: ``Served`` values. Called by whoever works on all kinds at once: the garbage
collector, namespace deletion, the command line. One request for each of the two roots where the
server knows aggregated discovery (v1.27 and later; older ones are refused by name). Rules:
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery.
"""

from __future__ import annotations

import msgspec

from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.client.served import Served

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class _ResponseKind(msgspec.Struct):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Subresource(msgspec.Struct):
    subresource: str = ""


class _Resource(msgspec.Struct):
    resource: str
    scope: str
    verbs: list[str]
    responseKind: _ResponseKind | None = None
    subresources: list[_Subresource] = []
    shortNames: list[str] = []


class _Version(msgspec.Struct):
    version: str
    resources: list[_Resource] = []
    freshness: str = ""


class _Group(msgspec.Struct):
    metadata: dict[str, object] = {}
    versions: list[_Version] = []


class _Groups(msgspec.Struct):
    kind: str
    items: list[_Group] = []


async def served(client: Client, *, preferred: bool = True) -> list[Served]:
    """All resources, in the server's order.

    ``preferred``: each resource once, in the first version of its group that has it.
    """
    found: dict[tuple[str, ...], Served] = {}
    for root in ("/api", "/apis"):
        response = await client.raw("GET", root, accept=_ACCEPT)
        for resource in _resources(response.body, root):
            identity: tuple[str, ...] = (resource.group, resource.plural)
            if not preferred:
                identity = (*identity, resource.version)
            found.setdefault(identity, resource)
    return list(found.values())


def _resources(body: bytes, root: str) -> list[Served]:
    try:
        groups = msgspec.json.decode(body, type=_Groups)
    except msgspec.DecodeError as problem:
        raise Unreadable(f"{root}: {problem}") from None
    if groups.kind != "APIGroupDiscoveryList":
        raise Unreadable(f"{root}: {groups.kind}: the server has no aggregated discovery")
    return [
        Served(
            group=str(group.metadata.get("name", "")),
            version=version.version,
            plural=item.resource,
            kind=item.responseKind.kind if item.responseKind is not None else "",
            namespaced=item.scope == "Namespaced",
            verbs=frozenset(item.verbs),
            subresources=tuple(sub.subresource for sub in item.subresources),
            short_names=tuple(item.shortNames),
        )
        for group in groups.items
        for version in group.versions
        for item in version.resources
    ]
