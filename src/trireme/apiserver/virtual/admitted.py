"""The object of a POST that nobody stores, once admission has seen it.

In: a request. Out: the object, which admission may have changed. Upstream: such kinds are created
as all others are, with admission.
"""

from __future__ import annotations

from typing import Any

from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import body, write


async def read(context: ServerContext, request: Request, endpoint: Endpoint) -> Any:
    """The object in the body. ApiError where admission refuses it."""
    obj = body.read(request, endpoint)
    namespace, name = request.info.namespace, obj.metadata.name
    call = write.call_of(request)
    await context.registry.admit("CREATE", endpoint, "", namespace, name, obj, call)
    return obj
