"""The fields that a new object sets, straight from its struct: the fast way of a creation.

In: an object of one of our own types. Out: what ``compare`` of the kind's empty object with it
finds added or modified, its elements in order. Called by ``manager`` for every creation.

Two functions are generated for each struct type, as ``schema/normalise`` does: ``shared`` for a
struct that the empty object has too (``spec``), where only what differs is set, and ``added`` for
one that it has not, where all is. A typical Pod costs a third of the general way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from trireme.machinery.apply import fieldset
from trireme.machinery.apply.atom import WHOLE, Atom, ListRule, Nodes
from trireme.machinery.apply.compare import whole
from trireme.machinery.apply.fieldset import LEAF, SELF, Set
from trireme.machinery.schema import tree
from trireme.machinery.schema.node import LIST, MAP, OBJECT, Node

Make = Callable[[Any], Set]


class Creations:
    """Generated functions of struct types; ``nodes`` gives their atoms."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._added: dict[type, Make] = {}
        self._shared: dict[type, Make] = {}

    def fields(self, obj: msgspec.Struct) -> Set:
        """The fields that a new object sets."""
        return self.shared(type(obj))(obj)

    def shared(self, struct: type) -> Make:
        """The function for a struct that the empty object has as well."""
        found = self._shared.get(struct)
        if found is None:
            found = self._shared[struct] = self._generate(struct, added=False)
        return found

    def added(self, struct: type) -> Make:
        """The function for a struct that only the new object has."""
        found = self._added.get(struct)
        if found is None:
            # Registered before it is made: a type may contain itself.
            self._added[struct] = lambda obj: self._added[struct](obj)
            found = self._added[struct] = self._generate(struct, added=True)
        return found

    def _generate(self, struct: type, *, added: bool) -> Make:
        names: dict[str, Any] = {"E": LEAF}
        lines = ["def make(o):", f' t = {{"{SELF}": E}}' if added else " t = {}"]
        nodes = tree.of(struct).fields
        infos = sorted(msgspec.structs.fields(struct), key=lambda info: info.encode_name)
        for info in infos:
            wire = info.encode_name
            value = _Field(self, info, nodes[wire], names, added=added)
            lines += [f" v = o.{info.name}", *value.lines(f't["f:{wire}"]')]
        # A struct without content is a leaf.
        lines.append(" return t if len(t) > 1 else E" if added else " return t")
        exec("\n".join(lines), names)
        made: Make = names["make"]
        return made

    def value(self, node: Node) -> str | Make:
        """How the value of a node becomes a set: "" for a leaf, or a function."""
        atom = self._nodes.atom(node)
        if node.kind == OBJECT and not node.alternatives:
            assert atom.map is not None
            struct = tree.struct_of(node)
            return "" if atom.map.atomic or struct is None else self.added(struct)
        if node.kind == MAP:
            assert atom.map is not None and node.item is not None
            return "" if atom.map.atomic else _map(self.value(node.item))
        if node.kind == LIST:
            assert atom.list is not None and node.item is not None
            return "" if atom.list.atomic else _list(atom.list, node.item, self.value(node.item))
        if atom.map is None or atom is WHOLE:
            return ""
        return _any(atom)


class _Field:
    """The lines of one field of a generated function; ``v`` holds its value."""

    def __init__(
        self,
        creations: Creations,
        info: Any,
        node: Node,
        names: dict[str, Any],
        *,
        added: bool,
    ) -> None:
        self.creations, self.info, self.node, self.names = creations, info, node, names
        self.added = added
        factory = info.default_factory
        self.always = factory is not msgspec.NODEFAULT and factory not in (list, dict, set)
        self.empty = factory() if self.always else None

    def lines(self, target: str) -> Iterable[str]:
        """Set ``target`` when the field is set."""
        if not self.always:
            condition = "v is not None" if self.info.default is None else "v"
            return [f" if {condition}: {target} = {self._made()}"]
        if self.added:
            made = self._made()
            return [f" {target} = {made}"]
        if isinstance(self.empty, msgspec.Struct):
            return self._struct(target)
        name = self._name("empty", self.empty)
        made = self._made()
        if made == "E":
            return [f" if v != {name}: {target} = E"]
        # The field is there already, empty or null; what is in it is not.
        return [
            " if v:",
            f"  v = dict({made}); v.pop({SELF!r}, None); {target} = v or E",
            f" elif v != {name}: {target} = E",
        ]

    def _struct(self, target: str) -> list[str]:
        atom = self.creations._nodes.atom(self.node)
        assert atom.map is not None
        if atom.map.atomic:
            return [f" if v != {self._name('empty', self.empty)}: {target} = E"]
        name = self._name("below", self.creations.shared(type(self.empty)))
        return [f" v = {name}(v)", f" if v: {target} = v"]

    def _made(self) -> str:
        function = self.creations.value(self.node)
        if function == "":
            return "E"
        name = self._name("make", function)
        if self.node.kind != OBJECT:
            # What is null or empty is a leaf; structs say so themselves.
            return f"{name}(v) if v else E"
        return f"{name}(v) if v is not None else E" if self.node.nullable else f"{name}(v)"

    def _name(self, kind: str, value: Any) -> str:
        name = f"{kind}_{self.info.name}"
        self.names[name] = value
        return name


def _map(item: str | Make) -> Make:
    if item == "":

        def flat(value: dict[str, Any]) -> Set:
            if len(value) == 1:
                [key] = value
                return {SELF: LEAF, f"f:{key}": LEAF}
            return {SELF: LEAF} | {f"f:{key}": LEAF for key in sorted(value)}

        return flat
    assert callable(item)

    def deep(value: dict[str, Any]) -> Set:
        return {SELF: LEAF} | {f"f:{key}": item(value[key]) for key in sorted(value)}

    return deep


def _list(rule: ListRule, node: Node, item: str | Make) -> Make:
    key = _key(rule, node)

    def make(value: list[Any]) -> Set:
        found: Set = {SELF: LEAF}
        for each in value:
            element = key(each)
            if element is None:
                continue
            if element in found:
                found[element] = LEAF
            else:
                found[element] = LEAF if isinstance(item, str) else item(each)
        if len(found) <= 2:
            return found
        return {element: found[element] for element in fieldset.in_order(found)}

    return make


def _key(rule: ListRule, node: Node) -> Callable[[Any], str | None]:
    if not rule.keys:
        return fieldset.value_element
    struct = tree.struct_of(node)
    assert struct is not None
    infos = {info.encode_name: info for info in msgspec.structs.fields(struct)}
    wires = sorted(rule.keys)
    attributes = attrgetter(*(infos[wire].name for wire in wires))
    always = {wire for wire in wires if infos[wire].default_factory is not msgspec.NODEFAULT}

    # The same few names recur.
    @lru_cache(maxsize=1024)
    def element(values: Any) -> str | None:
        found = {}
        for wire, value in zip(wires, values if len(wires) > 1 else (values,), strict=True):
            if value or wire in always:
                found[wire] = value
            elif wire in rule.defaults:
                found[wire] = rule.defaults[wire]
        return fieldset.key_element(found) if found else None

    return lambda item: element(attributes(item))


def _any(atom: Atom) -> Make:
    def make(value: Any) -> Set:
        return fieldset.ordered(whole(atom, _plain(value)))

    return make


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
