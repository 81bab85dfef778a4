"""From the text of an expression to its tree, macros expanded.

In: the text and the macros of the environment. Out: a ``Node``; ``CelError`` with all that is
wrong. Called by: ``environment``. Rules: the grammar of cel-spec ``langdef``, messages of cel-go
``parser``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from . import errors, lexer
from .ast import Call, Const, Ident, ListExpr, MapExpr, Node, Select, StructExpr
from .cursor import MAX_DEPTH, Cursor, Stop
from .errors import Issue
from .escape import RESERVED
from .lexer import Token
from .values import Uint

MacroKey = tuple[str, int, bool]
Macro = Callable[[int, Node | None, list[Node]], Node]
"""(offset for new nodes, target, arguments) to the expansion; raises ``MacroError``."""


class MacroError(Exception):
    """The macro was named but its arguments do not fit."""

    def __init__(self, pos: int, message: str) -> None:
        super().__init__(message)
        self.pos = pos
        self.message = message


MAX_CODE_POINTS: Final = 100_000

_OPERAND: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
    "STRING, BYTES, IDENTIFIER}"
)
_STARTS: Final = frozenset(
    ("ident", "int", "uint", "float", "string", "bytes", "true", "false", "null", *"[{(.-!")
)
_RESERVED: Final = RESERVED - {"true", "false", "null", "in"}
_RELATIONS: Final = {op: f"_{op}_" for op in ("<", "<=", ">", ">=", "==", "!=")} | {"in": "@in"}
_SUMS: Final = {"+": "_+_", "-": "_-_"}
_PRODUCTS: Final = {"*": "_*_", "/": "_/_", "%": "_%_"}
_INT64: Final = 1 << 63


def parse(text: str, macros: Mapping[MacroKey, Macro], optionals: bool = True) -> Node:
    """The tree of ``text``. ``optionals`` permits ``.?``, ``[?`` and ``?`` in literals."""
    if len(text) > MAX_CODE_POINTS:
        raise errors.compile_error(
            text,
            [
                Issue(
                    -1,
                    "expression code point size exceeds limit: "
                    f"size: {len(text)}, limit {MAX_CODE_POINTS}",
                )
            ],
        )
    issues: list[Issue] = []
    parser = _Parser(lexer.tokens(text, issues), macros, optionals, issues)
    node: Node | None = None
    try:
        node = parser.start()
    except Stop:
        pass
    except RecursionError:
        issues.append(Issue(-1, f"expression recursion limit exceeded: {MAX_DEPTH}"))
    if issues or node is None:
        raise errors.compile_error(text, issues)
    return node


class _Parser(Cursor):
    def __init__(
        self,
        tokens: list[Token],
        macros: Mapping[MacroKey, Macro],
        optionals: bool,
        issues: list[Issue],
    ) -> None:
        super().__init__(tokens, optionals, issues)
        self.macros = macros

    # The grammar, loosest binding first.

    def start(self) -> Node:
        node = self.expr()
        if self.kind != "eof":
            text = self.tokens[self.at].text
            last = self.at == len(self.tokens) - 2
            what = "extraneous" if last else "mismatched"
            raise self.stop(f"{what} input '{text}' expecting <EOF>")
        return node

    def expr(self) -> Node:
        self.enter()
        node = self.logic("||", "_||_")
        if self.kind == "?":
            op = self.next()
            yes = self.logic("||", "_||_")
            self.expect(":", "':'")
            no = self.expr()
            node = self.call(op.pos, "_?_:_", None, [node, yes, no])
        self.depth -= 1
        return node

    def logic(self, op: str, function: str) -> Node:
        below = self.relation if op == "&&" else self.conjunction
        first = below()
        if self.kind != op:
            return first
        terms, places = [first], []
        while self.kind == op:
            places.append(self.next().pos)
            terms.append(below())
        return _balanced(function, terms, places, 0, len(places) - 1)

    def conjunction(self) -> Node:
        return self.logic("&&", "_&&_")

    def relation(self) -> Node:
        return self.binary(_RELATIONS, self.sum)

    def sum(self) -> Node:
        return self.binary(_SUMS, self.product)

    def product(self) -> Node:
        return self.binary(_PRODUCTS, self.unary)

    def binary(self, ops: dict[str, str], below: Callable[[], Node]) -> Node:
        node = below()
        depth = self.depth
        while self.kind in ops:
            self.enter()
            op = self.next()
            node = self.call(op.pos, ops[op.kind], None, [node, below()])
        self.depth = depth
        return node

    def unary(self) -> Node:
        kind = self.kind
        if kind != "!" and kind != "-":
            return self.member()
        if kind == "-" and self.tokens[self.at + 1].kind in ("int", "float"):
            return self.member()
        first = self.tokens[self.at]
        count = 0
        while self.kind == kind:
            self.next()
            count += 1
        operand = self.member()
        if count % 2 == 0:
            return operand
        return self.call(first.pos, "!_" if kind == "!" else "-_", None, [operand])

    def member(self) -> Node:
        node = self.primary()
        depth = self.depth
        while True:
            if self.kind == ".":
                self.enter()
                node = self.select(node)
            elif self.kind == "[":
                self.enter()
                op = self.next()
                function = "_[_]"
                if self.kind == "?":
                    self.next()
                    if not self.optionals:
                        self.error(op.pos, "unsupported syntax '[?'")
                    function = "_[?_]"
                index = self.expr()
                self.close("]")
                node = self.call(op.pos, function, None, [node, index])
            else:
                self.depth = depth
                return node

    def select(self, operand: Node) -> Node:
        op = self.next()
        optional = self.kind == "?"
        if optional:
            self.next()
        if self.kind not in ("ident", "escaped"):
            text = self.tokens[self.at].text
            if self.kind == "eof":
                names = "IDENTIFIER" if not optional else "{IDENTIFIER, ESC_IDENTIFIER}"
                raise self.stop("no viable alternative at input '.'" if not optional
                                else f"mismatched input '{text}' expecting {names}")  # fmt: skip
            if text == "in":  # goes on as if it were the operator
                at = self.tokens[self.at].pos
                self.issues.append(Issue(at, "Syntax error: no viable alternative at input '.in'"))
                return operand
            if text in ("true", "false", "null"):
                raise self.stop(f"mismatched input '{text}' expecting IDENTIFIER")
            raise self.stop(f"no viable alternative at input '.{text}'")
        name = self.next()
        if optional:
            if not self.optionals:
                return self.error(op.pos, "unsupported syntax '.?'")
            return Call(op.pos, "_?._", [operand, Const(name.pos, name.text)])
        if name.kind == "escaped":
            return self.error(name.pos, "unsupported syntax: '`'")
        if self.kind == "(":
            paren = self.next()
            return self.call(paren.pos, name.text, operand, self.arguments())
        return Select(op.pos, operand, name.text)

    def primary(self) -> Node:
        kind = self.kind
        if kind == "ident" or kind == ".":
            return self.name()
        token = self.tokens[self.at]
        pos = token.pos
        match kind:
            case "string":
                self.next()
                try:
                    return Const(pos, lexer.unquote(token.text))
                except ValueError as e:
                    return self.error(pos, str(e))
            case "bytes":
                self.next()
                try:
                    return Const(pos, lexer.unquote_bytes(token.text[1:]))
                except ValueError as e:
                    return self.error(pos, str(e))
            case "int" | "uint" | "float":
                return self.number(pos)
            case "-" if self.tokens[self.at + 1].kind in ("int", "float"):
                return self.number(pos)
            case "true" | "false":
                self.next()
                return Const(pos, kind == "true")
            case "null":
                self.next()
                return Const(pos, None)
            case "(":
                self.next()
                node = self.expr()
                self.close(")")
                return node
            case "[":
                return self.list_literal()
            case "{":
                return self.map_literal()
        extra = kind != "eof" and self.tokens[self.at + 1].kind in _STARTS
        what = "extraneous" if extra else "mismatched"
        raise self.stop(f"{what} input '{token.text}' expecting {_OPERAND}")

    def number(self, pos: int) -> Node:
        sign = ""
        if self.kind == "-":
            sign = self.next().text
        token = self.next()
        text = token.text
        if token.kind == "float":
            number = float(sign + text)
            if number in (float("inf"), -float("inf")):
                return self.error(pos, "invalid double literal")
            return Const(pos, number)
        digits = text[:-1] if token.kind == "uint" else text
        value = int(digits[2:], 16) if digits.startswith("0x") else int(digits)
        if token.kind == "uint":
            if value >= 2 * _INT64:
                return self.error(pos, "invalid uint literal")
            return Const(pos, Uint(value))
        value = -value if sign else value
        if not -_INT64 <= value < _INT64:
            return self.error(pos, "invalid int literal")
        return Const(pos, value)

    def name(self) -> Node:
        start = self.tokens[self.at]
        dot = ""
        if self.kind == ".":
            self.next()
            dot = "."
            if self.kind != "ident":
                text = self.tokens[self.at].text
                raise self.stop(f"mismatched input '{text}' expecting IDENTIFIER")
        token = self.next()
        if self.is_struct():
            return self.struct_literal(dot + token.text)
        if token.text in _RESERVED:
            node = self.error(start.pos, f"reserved identifier: {token.text}")
            if self.kind == "(":
                self.next()
                self.arguments()
            return node
        if self.kind == "(":
            paren = self.next()
            return self.call(paren.pos, dot + token.text, None, self.arguments())
        return Ident(token.pos, dot + token.text)

    def is_struct(self) -> bool:
        i = self.at
        while self.tokens[i].kind == "." and self.tokens[i + 1].kind == "ident":
            i += 2
        return self.tokens[i].kind == "{"

    def arguments(self) -> list[Node]:
        args: list[Node] = []
        if self.kind != ")":
            args.append(self.expr())
            while self.kind == ",":
                self.next()
                args.append(self.expr())
        self.close(")")
        return args

    def list_literal(self) -> Node:
        op = self.next()
        elems: list[Node] = []
        optionals = set()
        done = self.empty("]")
        while not done:
            if self.mark():
                optionals.add(len(elems))
            elems.append(self.expr())
            done = self.ended("]")
        return ListExpr(op.pos, elems, frozenset(optionals))

    def map_literal(self) -> Node:
        op = self.next()
        entries = []
        done = self.empty("}")
        while not done:
            optional = self.mark()
            key = self.expr()
            self.expect(":", "':'")
            entries.append((key, self.expr(), optional))
            done = self.ended("}")
        return MapExpr(op.pos, entries)

    def struct_literal(self, name: str) -> Node:
        while self.kind == ".":
            self.next()
            name += "." + self.next().text
        op = self.next()
        entries = []
        done = self.empty("}")
        while not done:
            optional = self.mark()
            field = self.expect("ident", "IDENTIFIER")
            colon = self.expect(":", "':'")
            entries.append((field.text, self.expr(), optional, colon.pos))
            done = self.ended("}")
        return StructExpr(op.pos, name, entries)

    def call(self, pos: int, function: str, target: Node | None, args: list[Node]) -> Node:
        macro = self.macros.get((function, len(args), target is not None))
        if macro is not None:
            try:
                return macro(pos, target, args)
            except MacroError as e:
                return self.error(e.pos, e.message)
        return Call(pos, function, args, target)


def _balanced(function: str, terms: list[Node], places: list[int], lo: int, hi: int) -> Node:
    """A chain of one commutative operator as a balanced tree: cost estimates depend on its
    shape."""
    mid = (lo + hi + 1) // 2
    left = terms[mid] if mid == lo else _balanced(function, terms, places, lo, mid - 1)
    right = terms[mid + 1] if mid == hi else _balanced(function, terms, places, mid + 1, hi)
    return Call(places[mid], function, [left, right])
