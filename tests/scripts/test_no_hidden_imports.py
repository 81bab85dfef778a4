"""No import is hidden: what a module needs of Trireme it imports at its top, circles or not.

Where components are composed (``cluster``) some are imported late, so that commands start fast;
and of ``testing`` what every test session imports, whether it has a cluster or not.
"""

from __future__ import annotations

import ast
from pathlib import Path

LATE = {"testing/__init__.py", "testing/pytest_plugin.py"}
SOURCES = Path(__file__).parents[2] / "src" / "trireme"


def _hidden(tree: ast.Module) -> list[int]:
    """Lines of imports of Trireme below the top level, functions, classes and conditions alike."""
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if id(node) not in top and any(name.split(".")[0] == "trireme" for name in names):
            found.append(node.lineno)
    return found


def test_every_import_of_ours_is_at_the_top() -> None:
    assert _hidden(ast.parse("if TYPE_CHECKING:\n    from trireme.api import a\n")) == [2]
    assert _hidden(ast.parse("def f():\n    import trireme.api\n")) == [2]
    paths = [path for path in SOURCES.rglob("*.py") if path.parts[len(SOURCES.parts)] != "cluster"]
    assert len(paths) > 500
    hidden = {
        str(path.relative_to(SOURCES)): lines
        for path in paths
        if str(path.relative_to(SOURCES)) not in LATE
        and (lines := _hidden(ast.parse(path.read_text())))
    }
    assert hidden == {}
