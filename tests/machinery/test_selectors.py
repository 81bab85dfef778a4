"""labels and fields: what each form selects, its canonical text, what is refused and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import fields, labels
from trireme.machinery.meta import LabelSelector, LabelSelectorRequirement

POD = {"app": "web", "tier": "front", "n": "5"}


@pytest.mark.parametrize(
    ("text", "canonical", "matches"),
    [
        ("", "", True),
        ("app=web", "app=web", True),
        ("app==web", "app==web", True),
        ("app!=web", "app!=web", False),
        ("x!=web", "x!=web", True),
        ("app in (b,web)", "app in (b,web)", True),
        ("app notin (web, a)", "app notin (a,web)", False),
        ("x notin (a)", "x notin (a)", True),
        ("app", "app", True),
        ("!app", "!app", False),
        ("! x", "!x", True),
        ("n>4", "n>4", True),
        ("n<4", "n<4", False),
        ("app>4", "app>4", False),
        ("tier=front,app=web", "app=web,tier=front", True),
        ("app=web,tier=back", "app=web,tier=back", False),
        ("app=", "app=", False),
        ("x in ()", "x in ()", False),
        ("x in (,a)", "x in (,a)", False),
        ("in in (in,notin)", "in in (in,notin)", False),
        ("a.b/c=d", "a.b/c=d", False),
        (" app = web , tier ", "app=web,tier", True),
    ],
)
def test_label_selector(text: str, canonical: str, matches: bool) -> None:
    selector = labels.parse(text)
    assert str(selector) == canonical
    assert selector.matches(POD) is matches
    assert all(requirement.matches(POD) for requirement in selector.requirements) is matches
    assert labels.parse(canonical) == selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' "
            "operators, the value must be an integer",
        ),
        (
            "-a=b",
            'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of '
            "alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
            "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "a=-",
            'unable to parse requirement: values[0][a]: Invalid value: "-": a valid label must be '
            "an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
            "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
    ],
)
def test_bad_label_selector(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        labels.parse(text)
    assert str(caught.value) == message


def test_from_struct() -> None:
    spec = LabelSelector(
        matchLabels={"app": "web"},
        matchExpressions=[
            LabelSelectorRequirement(key="tier", operator="In", values=["front", "back"]),
            LabelSelectorRequirement(key="x", operator="DoesNotExist"),
        ],
    )
    selector = labels.from_struct(spec)
    assert str(selector) == "app=web,tier in (back,front),!x"
    assert selector.matches(POD)
    assert not selector.matches({**POD, "x": ""})
    assert labels.from_struct(LabelSelector()).matches(POD)
    assert not labels.from_struct(None).matches(POD)
    assert not labels.from_struct(None).matches({})
    assert labels.from_struct(None) != labels.everything()
    assert labels.from_struct(None).add(labels.Requirement("a", "exists")) == labels.Nothing()
    bad = LabelSelector(matchExpressions=[LabelSelectorRequirement(key="a", operator="Foo")])
    with pytest.raises(ValueError, match='"Foo" is not a valid label selector operator'):
        labels.from_struct(bad)
    assert labels.format_struct(bad) == "<error>"
    assert labels.format_struct(LabelSelector()) == "<none>"
    assert labels.format_labels({"b": "1", "a": "2"}) == "a=2,b=1"


def test_exact_and_add() -> None:
    selector = labels.parse("app in (web),tier")
    assert selector.exact("app") == "web"
    assert selector.exact("tier") is None
    assert str(selector.add(labels.Requirement("b", "=", ("1",)))) == "app in (web),b=1,tier"
    assert str(labels.from_set({"b": "1", "a": "2"})) == "a=2,b=1"
    assert labels.everything().empty() and not labels.Nothing().empty()


keys = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}", fullmatch=True)
values = st.from_regex(r"[A-Za-z0-9]{1,5}", fullmatch=True)
requirements = st.one_of(
    st.builds(lambda k, o, v: labels.Requirement(k, o, (v,)), keys,
              st.sampled_from(["=", "==", "!="]), values),
    st.builds(lambda k, o, v: labels.Requirement(k, o, tuple(sorted(v))), keys,
              st.sampled_from(["in", "notin"]), st.sets(values, min_size=1, max_size=3)),
    st.builds(lambda k, o: labels.Requirement(k, o), keys, st.sampled_from(["exists", "!"])),
    st.builds(lambda k, o, v: labels.Requirement(k, o, (str(v),)), keys,
              st.sampled_from(["gt", "lt"]), st.integers(-9, 9).filter(lambda n: n >= 0)),
)  # fmt: skip


@given(st.lists(requirements, max_size=4), st.dictionaries(keys, values, max_size=4))
def test_text_round_trip_selects_the_same(terms: list, sample: dict) -> None:
    selector = labels.Selector(terms)
    again = labels.parse(str(selector))
    assert again == selector
    assert again.matches(sample) == all(term.matches(sample) for term in terms)


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for module in (labels, fields):
        try:
            module.parse(text)
        except ValueError:
            pass


NODE = {"spec.nodeName": "n1", "metadata.name": "a,b"}


@pytest.mark.parametrize(
    ("text", "canonical", "matches"),
    [
        ("", "", True),
        ("spec.nodeName=n1", "spec.nodeName=n1", True),
        ("spec.nodeName==n1", "spec.nodeName=n1", True),
        ("spec.nodeName!=n1", "spec.nodeName!=n1", False),
        ("x=", "x=", True),
        ("x!=", "x!=", False),
        (r"metadata.name=a\,b", r"metadata.name=a\,b", True),
        (r"spec.nodeName=n1,metadata.name!=q", r"metadata.name!=q,spec.nodeName=n1", True),
        (",spec.nodeName=n1,", "spec.nodeName=n1", True),
    ],
)
def test_field_selector(text: str, canonical: str, matches: bool) -> None:
    selector = fields.parse(text)
    assert str(selector) == canonical
    assert selector.matches(NODE) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=\b", r"invalid field selector: invalid escape sequence: \b"),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_bad_field_selector(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        fields.parse(text)
    assert str(caught.value) == message


@given(st.text(max_size=10))
def test_field_values_survive_escaping(value: str) -> None:
    assert fields.unescape(fields.escape(value)) == value
    selector = fields.from_set({"f": value})
    assert fields.parse(str(selector)) == selector


def test_transform_and_exact() -> None:
    selector = fields.parse("a=1,b!=2")
    assert selector.exact("a") == "1"
    assert selector.exact("b") is None
    assert selector.fields() == ["a", "b"]
    renamed = selector.transform(lambda f, v: ("", "") if f == "b" else ("x" + f, v))
    assert str(renamed) == "xa=1"
