"""What a release says of itself in several places is the same in all of them."""

import importlib.metadata
import importlib.resources
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_newest_version_of_the_changelog_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(
        r"^## \[([^]]+)\] - (\d{4}-\d\d-\d\d|Unreleased)$",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )
    assert headings[0][0] == project["version"] == importlib.metadata.version("trireme")


def test_type_checkers_of_users_see_the_types():
    assert importlib.resources.files("trireme").joinpath("py.typed").is_file()
