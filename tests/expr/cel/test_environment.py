"""The public interface: versions, references, limits, injected functions."""

from __future__ import annotations

import pytest
from tests.expr.cel import recording

from trireme.expr.cel import (
    PER_CALL_LIMIT,
    CelError,
    CostLimitExceeded,
    Environment,
    EvalError,
    schema_type,
    types,
    values,
)
from trireme.expr.cel.library import authz, jsonpatch

PLAIN = recording.declared()


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("isURL('a')", (1, 23)),
        ("optional.of(1).hasValue()", (1, 28)),
        ("isQuantity('1')", (1, 28)),
        ("'%s'.format(['a']) == 'a'", (1, 29)),
        ("sets.contains([1], [1])", (1, 29)),
        ("isIP('1.2.3.4')", (1, 30)),
        ("format.dns1123Label().validate('a').hasValue()", (1, 31)),
        ("[1].all(i, v, i < v)", (1, 32)),
        ("isSemver('1.2.3')", (1, 33)),
        ("[1].distinct() == [1]", (1, 34)),
        ("[2, 1].sortBy(x, x) == [1, 2]", (1, 34)),
    ],
)
def test_libraries_come_with_their_version(text: str, since: tuple[int, int]) -> None:
    Environment({}, since).compile(text)
    if since > (1, 23):
        with pytest.raises(CelError):
            Environment({}, (since[0], since[1] - 1)).compile(text)


@pytest.mark.parametrize("text", ["math.abs(1)", "base64.encode(b'a')", "cel.bind(x, 1, x)"])
def test_what_upstream_leaves_out_is_refused(text: str) -> None:
    with pytest.raises(CelError, match="undeclared reference"):
        Environment({}).compile(text)


def test_references() -> None:
    env = Environment({"self": PLAIN, "oldSelf": PLAIN})
    assert env.compile("self.i > 1").references == {"self"}
    assert env.compile("self.list.all(oldSelf, oldSelf == 'a')").references >= {"self"}
    assert env.compile("oldSelf == self").references == {"self", "oldSelf"}
    assert env.compile("1 == 1").references == frozenset()


def test_a_variable_that_is_not_bound() -> None:
    program = Environment({"self": PLAIN}).compile("self.i > 1")
    with pytest.raises(EvalError, match=r"no such attribute\(s\): self"):
        program.evaluate({})


def test_the_limit_stops_a_loop_and_is_not_absorbed() -> None:
    env = Environment({"self": types.list_of(types.INT)})
    program = env.compile("self.all(x, self.all(y, x + y >= 0)) || true")
    items = list(range(1000))
    with pytest.raises(CostLimitExceeded) as stopped:
        program.evaluate({"self": items})
    assert PER_CALL_LIMIT < stopped.value.cost < PER_CALL_LIMIT + 100
    assert str(stopped.value) == "operation cancelled: actual cost limit exceeded"
    assert program.evaluate({"self": items}, limit=10**8)[0] is True


def test_a_failed_evaluation_tells_its_cost() -> None:
    program = Environment({"self": PLAIN}).compile("self.i > 1")
    with pytest.raises(EvalError, match="no such key: i") as failed:
        program.evaluate({"self": {}})
    assert failed.value.cost == 3


def test_errors_name_line_and_column() -> None:
    with pytest.raises(CelError) as refused:
        Environment({}).compile("1 == 1 &&\n  é\t")
    assert [i.offset for i in refused.value.issues] == [12, 14]
    assert str(refused.value).splitlines()[0].startswith("ERROR: <input>:2:3: Syntax error")


def test_deep_nesting_is_refused() -> None:
    env = Environment({})
    env.compile("(" * 50 + "1" + ")" * 50)
    for text in ("(" * 300 + "1" + ")" * 300, " + ".join(["1"] * 400), "a" + ".b" * 400):
        with pytest.raises(CelError, match="recursion limit exceeded"):
            env.compile(text)


def test_long_expressions_are_refused() -> None:
    with pytest.raises(CelError, match="code point size exceeds limit: size: 100001, limit 100000"):
        Environment({}).compile(" " * 100_001)


def test_a_long_chain_of_conditions() -> None:
    text = " && ".join(["self.i > 0"] * 1000)
    program = Environment({"self": PLAIN}).compile(text)
    assert program.evaluate({"self": {"i": 1}}) == (True, 3000)


def test_authorizer() -> None:
    asked: list[authz.Attributes] = []

    def decide(attributes: authz.Attributes) -> authz.Decision:
        asked.append(attributes)
        return authz.Decision(attributes.verb == "get", reason="because")

    env = Environment({"authorizer": authz.AUTHORIZER})
    bindings = {"authorizer": authz.Authorizer(decide, "jane")}
    text = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('ns')"
    program = env.compile(text + ".name('web').check('get').allowed()")
    assert program.evaluate(bindings) == (True, 350_007)
    assert asked == [
        authz.Attributes(
            "jane",
            "get",
            "",
            "apps",
            "deployments",
            subresource="scale",
            namespace="ns",
            name="web",
        )
    ]
    program = env.compile("authorizer.path('/healthz').check('post').reason()")
    assert program.evaluate(bindings)[0] == "because"
    program = env.compile("authorizer.serviceAccount('ns', 'sa').path('/x').check('get').allowed()")
    program.evaluate(bindings)
    assert asked[-1].user == ("ns", "sa")
    with pytest.raises(EvalError, match="Invalid service account name"):
        env.compile("authorizer.serviceAccount('ns', 'S').path('/')").evaluate(bindings)
    with pytest.raises(EvalError, match="path must not be empty"):
        env.compile("authorizer.path(' ')").evaluate(bindings)


def test_json_patches() -> None:
    env = Environment({"name": types.STRING}, extra=jsonpatch.OVERLOADS, type_names=jsonpatch.TYPES)
    program = env.compile(
        "[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey(name), value: 1}]"
    )
    (patch,), cost = program.evaluate({"name": "a/b~c"})
    assert isinstance(patch, values.Struct)
    assert patch == {"op": "add", "path": "/metadata/labels/a~1b~0c", "value": 1}
    assert cost == 10 + 40 + 1 + 1 + 3
    with pytest.raises(CelError, match="undefined field 'nope'"):
        env.compile("JSONPatch{nope: 1}")
    with pytest.raises(CelError, match="expected type of field 'op' is 'string'"):
        env.compile("JSONPatch{op: 1}")


def test_values_that_break_the_schema_are_an_error_not_a_crash() -> None:
    env = Environment({"self": PLAIN})
    for text in (
        "self.list.all(x, x == 'a')",
        "self.i + 1",
        "self.str.startsWith('a')",
        "self.m.k1",
    ):
        with pytest.raises(EvalError):
            env.compile(text).evaluate({"self": {"list": 1, "i": "x", "str": 3, "m": [1]}})


def test_sets_and_maps_keep_their_kind_through_addition() -> None:
    env = Environment({"self": PLAIN, "oldSelf": PLAIN})
    bindings = {"self": recording.NEW, "oldSelf": recording.OLD}

    def run(text: str) -> object:
        return env.compile(text).evaluate(bindings)[0]

    assert run("self.set + ['r', 'r']") == ["p", "q", "r"]
    assert run("(self.set + ['r']) == (['r'] + oldSelf.set)") is True
    assert run("(self.ml + [oldSelf.ml[0]]).map(e, e.k)") == ["a", "b"]
    assert run("self.ml + oldSelf.ml == oldSelf.ml") is True


def test_programs_share_nothing_between_evaluations() -> None:
    decl = schema_type({"type": "array", "items": {"type": "integer"}})
    assert decl is not None
    program = Environment({"self": decl}).compile("self.map(x, x + 1).sortBy(y, -y)")
    assert program.evaluate({"self": [1, 3, 2]})[0] == [4, 3, 2]
    assert program.evaluate({"self": []})[0] == []
