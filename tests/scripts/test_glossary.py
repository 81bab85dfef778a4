"""The glossary names files and folders that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_place_in_the_glossary_exists() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    places = re.findall(r"`([a-z_/]+(?:\.py|/))`", text)
    assert len(places) > 40
    assert [place for place in places if not (ROOT / "src/trireme" / place).exists()] == []
