"""Environments: what an expression may use, and how it becomes a program.

In: variables with their types, the compatibility version, further functions. Out: ``Program``s.
Called by: the users named in the package's description. Rules: apiserver
``pkg/cel/environment/base`` (which library from which version), cel-go ``cel/program``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from . import checker, macros, parser, validators
from . import types as t
from .ast import Call, Const, Ident, Node, Select, children
from .calls import FIRST, Frame
from .compiler import Compiler
from .errors import CelError, CostLimitExceeded, EvalError
from .estimate import Estimator
from .functions import Overload, Registry
from .library import versions
from .schema import DeclType
from .sizes import Range
from .types import Adapter, Type

PER_CALL_LIMIT: Final = 1_000_000
"""The cost at which one evaluation is stopped."""
RUNTIME_COST_BUDGET: Final = 10_000_000
"""What all evaluations for one custom resource, or one policy binding, may cost together."""
MATCH_CONDITIONS_BUDGET: Final = 2_500_000
"""What all match conditions of a webhook or binding may cost together."""
STATIC_COST_LIMIT: Final = 10_000_000
"""What one rule of a CustomResourceDefinition may be estimated to cost."""
STATIC_CRD_COST_LIMIT: Final = 100_000_000
"""What all rules of a CustomResourceDefinition may be estimated to cost together."""
MAX_MESSAGE_BYTES: Final = 5 * 1024
"""How long the text that a messageExpression makes may be."""

Version = tuple[int, int]


class Environment:
    """``variables`` maps names to a ``DeclType`` or a ``Type``.

    ``version`` is Kubernetes' version whose libraries are there; ``extra`` are overloads besides,
    ``extra_macros`` macros; ``type_names`` are struct types that expressions may build
    (``Name{field: value}``).
    """

    def __init__(
        self,
        variables: Mapping[str, DeclType | Type],
        version: Version = (1, 36),
        extra: Iterable[Overload] = (),
        type_names: Mapping[str, Type] | None = None,
        extra_macros: Mapping[parser.MacroKey, parser.Macro] | None = None,
    ) -> None:
        base = _base(version)
        self.functions = base.functions
        extra = tuple(extra)
        if extra:
            self.functions = Registry(o for have in base.functions.by_name.values() for o in have)
            self.functions.add(extra)
        self.macros = {**base.macros, **extra_macros} if extra_macros else base.macros
        self.optionals = base.optionals
        self.validate = base.validate
        self.type_names: Mapping[str, Type] = base.type_names
        if type_names is not None:  # it may know more names than it lists
            # ChainMap is typed for mutable maps; nothing writes here.
            self.type_names = ChainMap(type_names, base.type_names)  # type: ignore[arg-type]
        self.types = {
            name: v.type if isinstance(v, DeclType) else v for name, v in variables.items()
        }
        self.roots = {name: v for name, v in variables.items() if isinstance(v, DeclType)}

    def compile(self, text: str) -> Program:
        """The program for ``text``; ``CelError`` when it cannot be one."""
        node = parser.parse(text, self.macros, self.optionals)
        checker.check(text, node, self.types, self.type_names, self.functions)
        validators.validate(text, node, self.validate)
        return Program(text, node, self)


class Program:
    """A compiled expression. ``type`` is the type of its value, ``references`` the variables
    used."""

    __slots__ = (
        "_bindings",
        "_code",
        "_cost",
        "_node",
        "_roots",
        "_size",
        "references",
        "text",
        "type",
    )

    def __init__(self, text: str, node: Node, env: Environment) -> None:
        self.text = text
        self.type = node.type
        self.references = frozenset(_references(node, env.types))
        slots = {name: FIRST + i for i, name in enumerate(env.types)}
        compiler = Compiler(slots)
        try:
            code = compiler.value(node)
        except RecursionError:
            raise CelError("compile", "expression recursion limit exceeded") from None
        self._code = code.run
        self._cost = code.cost
        self._size = compiler.size
        self._node = node
        self._roots = env.roots
        self._bindings: tuple[tuple[str, int, Adapter | None], ...] = tuple(
            (name, slots[name], env.types[name].leaf) for name in sorted(self.references)
        )

    def estimate(self, any_name: bool = True) -> Range:
        """What one evaluation may cost, at least and at most, by the sizes that schemas promise.

        ``any_name`` is as in ``Estimator``: true for rules of CustomResourceDefinitions alone.
        """
        return Estimator(self._roots, any_name).cost(self._node)

    def selects(self, variable: str, field: str) -> bool:
        """Whether ``variable.field`` or ``variable.?field`` is anywhere in the expression."""
        pending = [self._node]
        while pending:
            node = pending.pop()
            operand: Node | None = None
            if isinstance(node, Select) and node.field == field:
                operand = node.operand
            elif isinstance(node, Call) and node.function == "_?._":
                name = node.args[1]
                operand = node.args[0] if getattr(name, "value", None) == field else None
            if isinstance(operand, Ident) and operand.name == variable:
                return True
            pending.extend(children(node))
        return False

    def paths(self, variable: str) -> Iterator[tuple[str, ...]]:
        """What of a variable is looked at: the names of fields from it on; () where all of it."""
        pending = [self._node]
        while pending:
            node = pending.pop()
            names: list[str] = []
            below = node
            while (step := _step(below)) is not None:
                below, name = step
                names.append(name)
            if isinstance(below, Ident) and below.ref == variable:
                yield tuple(reversed(names))
            elif not (isinstance(node, Select) and isinstance(node.ref, str)):
                pending.extend(children(node))

    def evaluate(self, bindings: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost.

        ``bindings`` has plain JSON for each variable (``Optional`` where the type is optional).
        Raises ``EvalError`` without and ``CostLimitExceeded`` with the limit reached; both then
        carry ``cost``.
        """
        s: Frame = [self._cost, limit, *[None] * (self._size - FIRST)]
        try:
            for name, i, leaf in self._bindings:
                v = bindings.get(name, _ABSENT)
                if v is _ABSENT:
                    raise EvalError(f"no such attribute(s): {name}")
                s[i] = v if leaf is None else leaf(v)
            value = self._code(s)
            if s[0] > limit:
                raise CostLimitExceeded()
        except EvalError as e:
            e.cost = s[0]
            raise
        except _BROKEN as e:  # values that are not what the schema promised
            error = EvalError(f"internal error: {e}")
            error.cost = s[0]
            raise error from e
        return value, s[0]


_ABSENT: Final = object()
_BROKEN: Final = (
    TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError,
)  # fmt: skip


def _step(node: Node) -> tuple[Node, str] | None:
    """What a field is selected from, and the field; None for all else."""
    if isinstance(node, Select):
        return node.operand, node.field
    if isinstance(node, Call) and node.function == "_?._":
        field = node.args[1]
        assert isinstance(field, Const)
        return node.args[0], str(field.value)
    return None


def _references(node: Node, variables: Mapping[str, Type]) -> Iterable[str]:
    pending = [node]
    while pending:
        n = pending.pop()
        if isinstance(n, Ident | Select) and isinstance(n.ref, str):
            if n.ref in variables:
                yield n.ref
            continue
        pending.extend(children(n))


class _Base:
    def __init__(self, version: Version) -> None:
        self.optionals = version >= (1, 28)
        self.validate = version >= (1, 29)
        self.functions = Registry(versions.overloads(version))
        self.macros = dict(macros.STANDARD)
        if self.optionals:
            self.macros |= macros.OPTIONAL
        if version >= (1, 32):
            self.macros |= macros.TWO_VARIABLES
        if version >= (1, 34):
            self.macros |= macros.LISTS
        self.type_names: dict[str, Type] = {
            "bool": t.BOOL,
            "bytes": t.BYTES,
            "double": t.DOUBLE,
            "google.protobuf.Duration": t.DURATION,
            "google.protobuf.Timestamp": t.TIMESTAMP,
            "int": t.INT,
            "list": t.list_of(t.DYN),
            "map": t.map_of(t.DYN, t.DYN),
            "null_type": t.NULL,
            "string": t.STRING,
            "type": t.TYPE,
            "uint": t.UINT,
            **versions.type_names(version),
        }


@lru_cache(32)
def _base(version: Version) -> _Base:
    return _Base(version)
