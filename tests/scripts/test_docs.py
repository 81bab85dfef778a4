"""The documentation: its links lead somewhere, what it names is there, its examples run.

`scripts/docs` builds the site; this looks at the same pages without its tools.
"""

import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FILES = [*PAGES, *sorted(ROOT.glob("*.md"))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", FILES, ids=name)
def test_links_lead_to_files(page):
    dead = [
        link
        for link in _LINK.findall(_CODE.sub("", page.read_text()))
        if not link.startswith(("https://", "http://", "#", "mailto:"))
        and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert not dead


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]

    def pages(entry):
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            for value in entry.values():
                yield from pages(value)
        else:
            for item in entry:
                yield from pages(item)

    assert sorted(pages(nav)) == [page.relative_to(DOCS).as_posix() for page in PAGES]


def test_the_reference_names_modules_that_are_there():
    modules = re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    assert modules
    for module in modules:
        assert pkgutil.resolve_name(module).__doc__


EXAMPLES = _BLOCK.findall((DOCS / "use" / "testing.md").read_text())


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_tests_pass(code):
    scope: dict[str, Any] = {"__name__": "example"}
    exec(code, scope)
    tests = [value for key, value in scope.items() if key.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_the_resource_of_the_how_to_is_one():
    """Its code makes a Resource, and its test holds for the kind that it shortens."""
    kind, rules, test = _BLOCK.findall((DOCS / "how-to" / "add-a-resource.md").read_text())
    scope: dict[str, Any] = {"__name__": "trireme.api.node.v1.example"}
    exec(kind, scope)
    assert scope["RESOURCE"].plural == "runtimeclasses"
    assert "rules." in rules
    exec(test, scope)
    for _, changes, errors in scope["CREATE"]:
        scope["test_create"](changes, errors)
