"""How many watches a write is reported to. Pure.

Called by ``estimate``. Upstream: apiserver ``util/flowcontrol/watch_tracker.go``: watches of one
node's pods count only where they ask for none.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.apiserver.request import Request, RequestInfo
from trireme.machinery import fields


class Watches:
    """Counts the watches that go on, by group, resource, namespace and name."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str, str], int] = {}

    def begin(self, request: Request) -> Callable[[], None] | None:
        """Count a watch; what is returned is to be called at its end."""
        info = request.info
        if info.resource == "pods" and _selected_node(request):
            return None
        key = info.group, info.resource, info.namespace, info.name
        counts = self._counts
        counts[key] = counts.get(key, 0) + 1

        def end() -> None:
            counts[key] -= 1
            if not counts[key]:
                del counts[key]

        return end

    def interested(self, info: RequestInfo) -> int:
        """How many watches may see what a write does."""
        counts = self._counts
        if not counts:
            return 0
        group, resource, namespace, name = info.group, info.resource, info.namespace, info.name
        found = counts.get((group, resource, "", ""), 0)
        if namespace:
            found += counts.get((group, resource, namespace, ""), 0)
        if name:
            found += counts.get((group, resource, namespace, name), 0)
        return found


def _selected_node(request: Request) -> str:
    try:
        selector = fields.parse(request.param("fieldSelector"))
    except ValueError:
        return ""
    return selector.exact("spec.nodeName") or ""
