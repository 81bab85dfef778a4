"""The parameters of policies: objects of the kind that a policy names, as its bindings select them.

In: what a binding refers to, the namespace of the request. Out: parameters as plain JSON. Errors:
``NotConfigured``, in upstream's words. Upstream: apiserver ``policy/generic`` CollectParams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trireme.api.admissionregistration.v1.matching import ParamKind, ParamRef
from trireme.apiserver.admission.contract import Context
from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import labels
from trireme.machinery.codec import json
from trireme.store.contract import KeyValue

# How many decoded parameters are kept.
_KEPT: Final = 1024


class NotConfigured(Exception):
    """A policy or binding cannot be used as it is configured; str() says why."""


class Params:
    """Reads parameters; each stored object is decoded once."""

    def __init__(self) -> None:
        self._decoded: dict[tuple[str, str], tuple[int, Any]] = {}

    def endpoint(self, kind: ParamKind, context: Context) -> Endpoint:
        """Where the parameters are. NotConfigured where nothing serves the kind."""
        group, _, version = kind.apiVersion.rpartition("/")
        found = context.of_kind(group, version, kind.kind)
        if found is None:
            name = f"{group}/{version}, Kind={kind.kind}"
            raise NotConfigured(f"failed to find resource referenced by paramKind: '{name}'")
        return found

    async def collect(
        self, endpoint: Endpoint, ref: ParamRef, namespace: str, context: Context
    ) -> list[Any]:
        """The parameters that a binding refers to."""
        if not endpoint.resource.namespaced:
            if ref.namespace:
                raise NotConfigured(
                    "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
                )
            namespace = ""
        elif ref.namespace:
            namespace = ref.namespace
        elif not namespace:
            raise NotConfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped "
                "resources"
            )
        found = await self._find(endpoint, ref, namespace, context)
        if not found and ref.parameterNotFoundAction == "Deny":
            raise NotConfigured(
                "no params found for policy binding with `Deny` parameterNotFoundAction"
            )
        return found

    async def _find(
        self, endpoint: Endpoint, ref: ParamRef, namespace: str, context: Context
    ) -> list[Any]:
        if ref.name:
            item = context.reader.item(endpoint, namespace, ref.name)
            return [] if item is None else await self._plain(endpoint, [item])
        selector = labels.from_struct(ref.selector)
        items = context.reader.items(endpoint, namespace)
        return [
            one
            for one in await self._plain(endpoint, items)
            if selector.matches(one["metadata"].get("labels") or {})
        ]

    async def _plain(self, endpoint: Endpoint, items: Sequence[KeyValue]) -> list[Any]:
        known = self._decoded
        if len(known) > _KEPT:
            known.clear()
        version = endpoint.resource.api_version
        found = []
        for served in await endpoint.from_stored(list(items)):
            key = version, served.key
            kept = known.get(key)
            if kept is None or kept[0] != served.revision:
                kept = known[key] = served.revision, json.plain(served.value)
            found.append(kept[1])
        return found
