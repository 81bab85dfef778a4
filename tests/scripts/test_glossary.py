"""The glossary names files and folders that are there, and the code uses its words."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/trireme"

# Words that stood for one of Kubernetes' or client-go's, with the word to use instead.
PRIVATE = {
    "amounts": "resources, quantities",
    "bury buried": "remove, removed",
    "chosen": "selected",
    "complaint complaints": "error",
    "concern": "predicate, filter",
    "fault faults": "error",
    "flavour": "context",
    "hatch": "start",
    "judge judged judges": "validate",
    "poke poked": "notify",
    "rouse roused": "wake, notify",
    "seen": "observed",
    "settle": "what it does",
    "settled": "observed",
    "show shows shown": "served, converted, listed",
    "siblings": "what they have in common: same owner, default selector",
    "stamps": "timestamps",
    "standing": "score cache",
    "tell tells told": "report, notify; served, events",
    "tend": "supervise, monitor",
    "wanted": "desired",
    "why": "reason, detail",
    "wish wishes": "term, preference",
}
# Names that are others': of click, CRI, the columns of upstream's tables, and fault injection.
OTHERS = frozenset(
    [
        "show",
        "show_default",
        "page_faults",
        "major_page_faults",
        "_first_seen",
        "_last_seen",
        "FaultInjector",
        "fault_injection",
        "Faults",
        "faults",
    ]
)
_INSTEAD = {word: instead for words, instead in PRIVATE.items() for word in words.split()}
# Most files have none of them, be it in a text: they need not be read token by token.
_SUSPECT = re.compile("|".join(_INSTEAD), re.IGNORECASE)


def test_every_place_in_the_glossary_exists() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    places = re.findall(r"`([a-z_/]+(?:\.py|/))`", text)
    assert len(places) > 40
    assert [place for place in places if not (SOURCE / place).exists()] == []


def test_no_name_in_the_code_is_a_private_word() -> None:
    found = set()
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        for name in place.with_suffix("").parts:
            found |= _private(name, str(place))
        if not _SUSPECT.search(file.read_text()):
            continue
        with file.open() as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type == tokenize.NAME:
                    found |= _private(token.string, str(place))
    assert sorted(found) == []


def test_private_words_are_found_as_parts_of_names() -> None:
    assert _private("_why_none", "f") == {"f: _why_none: reason, detail"}
    assert _private("ContainerSeen", "f") == {"f: ContainerSeen: observed"}
    assert _private("showcase", "f") == _private("show_default", "f") == set()


def _private(name: str, place: str) -> set[str]:
    """A line for each private word in a name: snake_case or CamelCase."""
    if name in OTHERS:
        return set()
    parts = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_")
    return {f"{place}: {name}: {_INSTEAD[part]}" for part in parts if part in _INSTEAD}
