"""What the type checker is told to ignore says why: in the line above, or beside it."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/trireme"
IGNORED = re.compile(r"# type: ignore\[[a-z-]+\](?P<reason>  # .+)?$")


def test_each_ignored_error_has_a_reason() -> None:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if "type: ignore" not in line or file.name.endswith("_pb2.py"):
                continue
            match = IGNORED.search(line)
            above = lines[number - 1].strip()
            if match is None or not (match["reason"] or above.startswith("# ")):
                found.append(f"{file.relative_to(SOURCE)}:{number + 1}")
    assert found == []
