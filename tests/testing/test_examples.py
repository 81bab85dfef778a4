"""The README's examples of a section are test files that pass."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_tests_operators(pytester, monkeypatch):
    section = README.read_text().partition("## Test an operator")[2].partition("\n## ")[0]
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(examples) == 3
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    files = {f"test_example_{number}": text for number, text in enumerate(examples)}
    pytester.makepyfile(**files)
    result = pytester.runpytest_subprocess("-p", "trireme.testing.pytest_plugin")
    result.assert_outcomes(passed=3)
