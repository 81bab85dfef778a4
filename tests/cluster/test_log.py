"""What a component's log shows of connections that break."""

from __future__ import annotations

import asyncio
import logging

import pytest

from trireme.cluster import compose


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("Fatal error on SSL protocol", 1),
        ("Exception in callback", 99),
    ],
)
def test_a_broken_connection_is_a_line(
    message: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        compose.environment("kubelet", lambda: None)
        loop = asyncio.new_event_loop()
        try:
            raise RuntimeError("the handler is closed")
        except RuntimeError as error:
            loop.call_exception_handler({"message": message, "exception": error, "protocol": 1})
        loop.close()
        output = capsys.readouterr().err
    finally:
        root.handlers[:], root.level = before
        logging.getLogger("asyncio").removeFilter(compose._one_line)
    assert "RuntimeError: the handler is closed" in output
    if lines == 1:
        assert " I asyncio: a TLS connection broke: RuntimeError" in output
        assert len(output.splitlines()) == 1
    else:
        assert "Traceback" in output
