"""Warnings come as headers of their own, with upstream's words.

``warnings.json`` holds writes in their order, and the status and the warnings that upstream's API
server (v1.36.2) gave for each; the order of the warnings of one write is not compared, since some
of upstream's follow Go's maps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.test_reading import api
from trireme.apiserver import chain, serve
from trireme.apiserver.filters import warnings
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request

WRITES = json.loads(Path(__file__).with_name("warnings.json").read_bytes())


def served(answer: Any) -> list[str]:
    return sorted(answer.warnings)


def header(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'


async def test_every_write_warns_of_what_upstream_warns_of() -> None:
    async with api() as ask:
        await ask(
            "POST",
            "/api/v1/namespaces",
            {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "t"}},
        )
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        await ask("POST", "/api/v1/namespaces/t/serviceaccounts", account)
        for write in WRITES:
            answer = await ask.raw(
                write["method"], write["path"], write["body"], media=write.get("media", "")
            )
            expected = sorted(map(header, write["warnings"]))
            assert (answer.status, served(answer)) == (write["status"], expected), write


async def test_amounts_of_overhead_are_whole_bytes_too() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "overhead": {"memory": "0.5"}},
    }
    async with api() as ask:
        answer = await ask.raw("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        text = 'spec.overhead[memory]: fractional byte value "500m" is invalid, must be an integer'
        assert served(answer) == [header(text)]


async def test_a_space_before_the_token_is_warned_of() -> None:
    async with api() as ask:
        for value, warned in (("Bearer  x", True), ("Bearer x y", False), ("Bearer ", False)):
            request = Request("GET", "/version", headers={"authorization": value})
            answer = await chain.handle(ask.server, request)
            assert bool(answer.warnings) == warned, value
            assert answer.status == (401 if value == "Bearer x y" else 200)


def test_each_warning_is_a_header() -> None:
    answer = Reply()
    warnings.attach(["one", 'two "2"', "one", ""], answer)
    headers = serve._head(answer)
    assert headers.getall("Warning") == ['299 - "one"', r'299 - "two \"2\""']


@pytest.mark.parametrize("text", ["a\nb", "a\x7f", "\ud800"])
def test_what_no_header_carries_is_left_out(text: str) -> None:
    assert warnings.fitting([text, "good", "gut ü"]) == ["good", "gut ü"]


def test_many_warnings_are_cut() -> None:
    most = [f"{number:02} " + "x" * 400 for number in range(30)]
    assert warnings.fitting(most[:10]) == most[:10]
    assert warnings.fitting([*most[:10], "y" * 66]) == [*most[:10], "y" * 66]
    cut = warnings.fitting(most)
    assert cut == [text[:256] for text in most[:16]]
    # Those until the first that did not fit stay, however many they are.
    short = [f"{number:04}" for number in range(1024)]
    assert warnings.fitting([*short, "one more"]) == [*short, "one more"]
    assert warnings.fitting([*short, "one more", "and more"]) == [*short, "one more"]
