"""Type checkers find in the API's packages what Python finds there; `scripts/stubs` makes it so."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest
from tests.scripts.loading import script

from trireme.kit import catalog

ROOT = Path(__file__).resolve().parents[2]
stubs = script("stubs")
PACKAGES = sorted(stubs.API.rglob("__init__.pyi"))


def test_no_stub_is_out_of_date() -> None:
    assert list(stubs.stale()) == [], "run `scripts/stubs`"


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(stubs.API)))
def test_a_stub_says_where_each_type_is(path: Path) -> None:
    name = ".".join(path.parent.relative_to(ROOT / "src").parts)
    package = importlib.import_module(name)
    said = {
        alias.name: f"{name}.{statement.module}"
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    defined = {
        key
        for module in catalog.modules(package)
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and key[0].isupper()
    }
    assert {key: getattr(package, key).__module__ for key in defined} == said


def test_a_new_type_makes_a_stub_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "v1"
    package.mkdir()
    (package / "__init__.py").write_text("__getattr__ = catalog.lazy(__name__, __path__)\n")
    (package / "pod.py").write_text("class Pod: ...\nclass _Hidden: ...\n")
    monkeypatch.setattr(stubs, "API", tmp_path)
    found = stubs.stale()
    text = "# Made by scripts/stubs.\nfrom .pod import Pod as Pod\n"
    assert found == {package / "__init__.pyi": text}
    (package / "__init__.pyi").write_text(text)
    assert stubs.stale() == {}
    (package / "node.py").write_text("class Node: ...\n")
    assert list(stubs.stale()) == [package / "__init__.pyi"]
