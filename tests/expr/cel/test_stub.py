"""The stub of ``trireme.expr.cel`` names what the package has."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from trireme.expr import cel


def test_the_stub_is_the_package() -> None:
    stub = ast.parse(Path(cel.__file__ or "").with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = {node.names[0].name: node.module for node in imports}
    for name, module in names.items():
        home = importlib.import_module(f"trireme.expr.cel.{module}")
        assert getattr(cel, name) is getattr(home, name)
    assert set(names) == {*vars(cel)["_HOMES"], "escape", "unescape"}
