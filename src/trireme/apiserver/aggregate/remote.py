"""Versions that an APIService says another server has: they are refused by name, as unavailable.

In: the version of a group that nothing here serves. Called by: ``dispatch``. Upstream: what
kube-aggregator answers for a server that it cannot reach.
"""

from __future__ import annotations

from trireme.api.apiregistration.v1.apiservice import APIService
from trireme.apiserver.aggregate import plan
from trireme.apiserver.context import ServerContext
from trireme.machinery import errors


def refuse(context: ServerContext, group: str, version: str) -> None:
    """Raise 503 where the version is another server's; return where it is nobody's."""
    name = plan.name(group, version)
    found = context.reader.get(APIService, "", name)
    if found is None or found.spec.service is None:
        return
    message = plan.not_passed_on(found.spec.service)
    raise errors.service_unavailable(f"apiservice {name}: {message}")
