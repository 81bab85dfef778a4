"""Environment files: what counts as an assignment, and what makes the file malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.kubelet.env import envfile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KEY='value'", "value"),
        ("KEY='value'\n", "value"),
        ("KEY='value'\r\n", "value"),
        (" \tKEY='value'", "value"),
        ("# KEY='no'\n\n   \nOTHER='x'\nKEY='value' # why\n", "value"),
        ("KEY='value'#why", "value"),
        ("KEY='a\nb\n c'\n", "a\nb\n c"),
        ("KEY='a # \"$x\" \\n'", 'a # "$x" \\n'),
        ("KEY=''", ""),
        ("KEY= 'value'", ""),
        ("KEY=\tx y z", ""),
        ("OTHER= 'x'\nKEY='value'", "value"),
        ("KEY='one'\nKEY='two'", "one"),
        ("KEY='one'\nnonsense", "one"),
        ("KEY='a=b'", "a=b"),
        ("KEYS='x'", ""),
        ("", ""),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert envfile.value(text.encode(), "KEY") == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("KEY", "line 1: missing '='"),
        ("\n\n='x'", "line 3: empty variable name"),
        ("KEY ='x'", "line 1: whitespace before '=' is not allowed"),
        ("KEY=x", "line 1: value must be enclosed in single quotes"),
        ("KEY=", "line 1: value must be enclosed in single quotes"),
        ('KEY="x"', "line 1: value must be enclosed in single quotes"),
        ("\nKEY='x\ny", "line 2: unclosed single quote"),
        ("KEY='x'y", "line 1: unexpected content after closing quote"),
        ("OTHER='x' 'y'\nKEY='z'", "line 1: unexpected content after closing quote"),
    ],
)
def test_malformed(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        envfile.value(text.encode(), "KEY")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z]{1,3}", fullmatch=True), st.text().map(lambda t: t.replace("'", ""))
    )
)
def test_what_is_written_is_read(values: dict[str, str]) -> None:
    values = {name: text.replace("\r", "") for name, text in values.items()}
    data = "".join(f"{name}='{text}'\n" for name, text in values.items()).encode()
    for name, text in values.items():
        assert envfile.value(data, name) == text
