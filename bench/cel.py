"""What a CEL rule costs: microseconds to compile, to estimate and to evaluate.

Run: ``python bench/cel.py``. The object has three scalars and a list of ten
objects, as the spec of an ordinary custom resource has.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from trireme.expr.cel import Environment, schema_type

NAME = {"type": "string", "maxLength": 63}
SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "maxReplicas": {"type": "integer"},
        "name": NAME,
        "list": {
            "type": "array",
            "maxItems": 100,
            "items": {"type": "object", "properties": {"name": NAME}},
        },
    },
}
OBJECT = {
    "replicas": 1,
    "maxReplicas": 3,
    "name": "abc",
    "list": [{"name": f"a{i}"} for i in range(10)],
}
RULES = (
    "self.replicas <= self.maxReplicas",
    "self.replicas in [1, 2, 3]",
    "has(self.name) && self.name.matches('^[a-z]+$')",
    "self.list.all(x, x.name.startsWith('a'))",
    "self.list.map(x, x.name).size() == 10",
    "self.list.exists_one(x, x.name == 'a1')",
    "self.list.all(x, self.list.exists_one(y, x.name == y.name))",
    "self.replicas >= oldSelf.replicas",
)


def micros(run: Callable[[], object], count: int) -> float:
    """The best of five, in microseconds per call."""
    return min(timeit.repeat(run, number=count, repeat=5)) / count * 1e6


def main() -> None:
    """Prints the table."""
    decl = schema_type(SCHEMA, root=True)
    assert decl is not None
    env = Environment({"self": decl, "oldSelf": decl})
    bindings = {"self": OBJECT, "oldSelf": OBJECT}
    print(f"{'rule':60} {'compile':>9} {'estimate':>9} {'evaluate':>9}  µs")
    for rule in RULES:
        program = env.compile(rule)
        compiling = micros(lambda rule=rule: env.compile(rule), 100)  # type: ignore[misc]
        estimating = micros(program.estimate, 200)
        evaluating = micros(lambda program=program: program.evaluate(bindings), 2000)  # type: ignore[misc]
        print(f"{rule:60} {compiling:9.0f} {estimating:9.0f} {evaluating:9.2f}")
    declaring = micros(lambda: Environment({"self": schema_type(SCHEMA, root=True)}), 200)  # type: ignore[dict-item]
    print(f"{'a schema and its environment':60} {declaring:9.0f}")


if __name__ == "__main__":
    main()
