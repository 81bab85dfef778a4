"""The handler of in-process requests to an API server, without sockets.

In: an ``ApiServer`` and the user of every request. Out: a ``Handler`` for
``client.inproc``: requests skip authentication and pass all else (authorization, admission). Called
by ``inprocess`` and by tests, which make clients of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import StreamReply, UpgradeReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.client.inproc import Answer, Handler


def handler(server: ApiServer, user: User, answers: chain.Answers = chain.handle) -> Handler:
    """Calls ``server`` as ``user``. ``ConnectionError`` where the answer would be an upgrade."""

    async def handle(
        method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        request = Request(method, path, query, headers, body, user=user)
        try:
            answer = await answers(server, request)
        finally:
            # No connection: the response is complete.
            request.close()
        if isinstance(answer, UpgradeReply):
            raise ConnectionError(f"{method} {path}: no upgrades within one process")
        answered = {"content-type": answer.content_type}
        answered |= {name.lower(): value for name, value in answer.headers.items()}
        if request.flow is not None:
            answered |= {name.lower(): value for name, value in request.flow.headers.items()}
        if answer.warnings:
            answered["warning"] = ", ".join(answer.warnings)
        content = answer.chunks if isinstance(answer, StreamReply) else answer.body
        return answer.status, answered, content

    return handle
