"""The tour leads to functions that are there, and is as long as it says."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = (ROOT / "docs" / "tour.md").read_text()
_ROW = re.compile(r"^\| `([^`]+\.py)` \| (.+) \| (\d+) \|$", re.MULTILINE)
ROWS = [
    (file, re.findall(r"`([^`]+)`", names), int(lines)) for file, names, lines in _ROW.findall(TOUR)
]


def length(file: str, name: str) -> int:
    """Lines of a function or class, docstring and all. LookupError where it is not there."""
    folder = ROOT if file.startswith("tests/") else ROOT / "src" / "trireme"
    body = ast.parse((folder / file).read_text()).body
    node: Any = None
    for part in name.split("."):
        node = next((item for item in body if getattr(item, "name", None) == part), None)
        if node is None:
            raise LookupError(f"{file} has no {name}: say in docs/tour.md what to read instead")
        body = node.body
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize(("file", "names", "lines"), ROWS, ids=[file for file, *_ in ROWS])
def test_what_the_tour_names_is_there_and_as_long(file, names, lines):
    actual = sum(length(file, name) for name in names)
    assert abs(actual - lines) <= max(5, lines // 5), f"{actual} lines by now"


def test_an_hour_is_an_hour():
    """Twenty lines a minute."""
    assert 1000 <= sum(lines for _, _, lines in ROWS) <= 1400
    minutes = [int(number) for number in re.findall(r"^## (\d+) minutes", TOUR, re.MULTILINE)]
    assert 55 <= sum(minutes) <= 65


def test_what_the_text_names_is_there():
    for path in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9.]*)`", TOUR):
        folder = ROOT if path.startswith(("tests/", "scripts/", "src/")) else ROOT / "src/trireme"
        assert (folder / path).exists(), path
