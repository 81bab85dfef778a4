"""What is not served: text where no group of the API answers, a Status where one does."""

from __future__ import annotations

import pytest

from tests.apiserver.conftest import ADMIN
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.kit.env import Env
from trireme.testing import control_plane, virtual

NO_PAGE = b"404 page not found\n"


@pytest.mark.parametrize(
    ("method", "path", "is_text"),
    [
        ("GET", "/apis/nope.example.com/v1/things", True),
        ("POST", "/apis/nope.example.com/v1/namespaces/default/things", True),
        ("GET", "/apis/nope.example.com/v1", True),
        ("GET", "/apis/nope.example.com", True),
        # A group that is there, but off.
        ("GET", "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations", True),
        ("GET", "/apis/apps/v9", False),
        ("GET", "/apis/apps/v9/deployments", False),
        ("GET", "/apis/apps/v1/things", False),
        ("GET", "/api/v2", False),
        ("GET", "/api/v1/namespaces/default/pods/a/part", False),
    ],
)
@virtual.test()
async def test_who_answers(env: Env, method: str, path: str, is_text: bool) -> None:
    async with control_plane.api_server(env) as server:
        answer = await chain.handle(server, Request(method, path, user=ADMIN))
        assert isinstance(answer, Reply)
        assert answer.status == 404
        assert (answer.body == NO_PAGE) is is_text
        assert answer.content_type == (
            "text/plain; charset=utf-8" if is_text else "application/json"
        )
