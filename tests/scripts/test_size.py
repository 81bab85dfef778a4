"""`scripts/size` counts what a reader must read: code, and nothing else."""

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.scripts.loading import script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "size"
size = script("size")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", 0),
        ("# a comment\n\n\n", 0),
        ('"""Of the\n\nmodule."""\n', 0),
        ("import os\nfrom a import (\n    b,\n    c,\n)\n", 0),
        ("x = 1  # beside code\n", 1),
        ('def f():\n    """What it does."""\n    return 1\n', 2),
        ('class A:\n    x: int\n    """An attribute."""\n', 2),
        ('x = """one\n\ntwo"""\n', 2),
        ("x = (\n    1,\n    # why\n\n    2,\n)\n", 4),
        ("def f():\n    import os\n    return os\n", 2),
        ("if a:\n    pass\nelse:\n    b()\n", 4),
    ],
)
def test_only_code_is_counted(text, lines):
    assert size.count(text) == lines


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("src/trireme/__init__.py", ("", "")),
        ("src/trireme/dns/serve.py", ("dns", "")),
        ("src/trireme/kubelet/cri/client.py", ("kubelet", "cri")),
        ("src/trireme/api/core/v1/pod/types.py", ("api", "core")),
        ("src/trireme/kubelet/cri/pb/cri_pb2.py", ("generated", "")),
    ],
)
def test_a_room_is_a_folder_one_or_two_levels_deep(path, room):
    assert size.room(path) == room


def test_the_table_adds_up_and_shows_what_changed():
    base = Counter({("dns", ""): 5, ("gone", ""): 2})
    now = Counter(
        {("dns", ""): 7, ("kubelet", ""): 10, ("kubelet", "cri"): 3, ("generated", ""): 9}
    )
    rows = [row.split() for row in size.table(now, base).splitlines()]
    assert rows == [
        ["dns", "7", "+2"],
        ["generated", "9", "+9"],
        ["gone", "0", "-2"],
        ["kubelet", "13", "+13"],
        ["cri", "3", "+3"],
        ["total", "20", "+13", "(bar", "85,000)"],
    ]


@pytest.fixture(scope="module")
def rooms():
    return size.count_rooms(size.working_tree())


def test_the_rooms_are_those_of_the_tree(rooms):
    assert rooms[("kubelet", "cri")] > 0 and rooms[("generated", "")] > 0
    assert size.total(rooms) == sum(rooms.values()) - rooms[("generated", "")]


def test_the_readme_says_how_much_there_is_to_read(rooms):
    said = re.search(r"some (\d+,\d+) lines of code", (SCRIPT.parents[1] / "README.md").read_text())
    lines = size.total(rooms)
    assert said is not None
    assert abs(int(said[1].replace(",", "")) - lines) < lines / 20, f"{lines} by now"
