"""How values merge: the part of a schema that server-side apply looks at.

An ``Atom`` says what may stand at a place: a map, a list, a scalar, or several of these, and
whether its parts have owners of their own. Made here from a schema ``Node`` (our own types), and in
``api/apiextensions/schema/atoms`` from a structural schema (custom kinds). Upstream:
structured-merge-diff ``schema``, kube-openapi ``schemaconv``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trireme.machinery.schema import node as nodes
from trireme.machinery.schema.node import Node

NUMERIC: Final = "numeric"
STRING: Final = "string"
BOOLEAN: Final = "boolean"
UNTYPED: Final = "untyped"


class Atom:
    """What may stand at one place."""

    __slots__ = ("list", "map", "scalar")

    def __init__(
        self,
        *,
        map: MapRule | None = None,
        list: ListRule | None = None,
        scalar: str = "",
    ) -> None:
        self.map = map
        self.list = list
        self.scalar = scalar

    def kind_of(self, value: Any) -> str:
        """As what ``value`` is treated here: ``map``, ``list`` or ``scalar``."""
        if isinstance(value, dict):
            if self.map is not None:
                return "map"
        elif isinstance(value, list):
            if self.list is not None:
                return "list"
        elif value is not None and self.scalar:
            return "scalar"
        # null, or a value that validation refuses.
        if self.map is not None:
            return "map"
        return "scalar" if self.scalar else "list"


class MapRule:
    """A map or a struct: named fields, and the atom of every other key (None: there is none)."""

    __slots__ = ("_fields", "_load", "_table", "atomic", "element")

    def __init__(
        self,
        load: Callable[[], Mapping[str, Atom]] | None,
        element: Atom | None,
        *,
        atomic: bool = False,
    ) -> None:
        self._load = load
        self._fields: Mapping[str, Atom] | None = None if load else {}
        self.element = element
        self.atomic = atomic
        self._table: dict[str, tuple[str, Atom]] | None = None

    @property
    def fields(self) -> Mapping[str, Atom]:
        if self._fields is None:
            assert self._load is not None
            self._fields = self._load()
        return self._fields

    @property
    def table(self) -> dict[str, tuple[str, Atom]]:
        """The named fields with their path elements."""
        if self._table is None:
            self._table = {name: (f"f:{name}", atom) for name, atom in self.fields.items()}
        return self._table

    def at(self, key: str) -> Atom:
        """The atom of a key; what the schema does not know is deduced."""
        return self.fields.get(key) or self.element or DEDUCED

    def as_atomic(self) -> MapRule:
        """The same, owned as a whole."""
        return self if self.atomic else MapRule(lambda: self.fields, self.element, atomic=True)


class ListRule:
    """A list: atomic, a set (no keys), or a map by ``keys``, whose defaults count when absent."""

    __slots__ = ("_defaults", "atomic", "element", "keys")

    def __init__(self, element: Atom, *, atomic: bool = True, keys: tuple[str, ...] = ()) -> None:
        self.element = element
        self.atomic = atomic
        self.keys = keys
        self._defaults: Callable[[], dict[str, Any]] | dict[str, Any] = {}

    def with_defaults(self, load: Callable[[], dict[str, Any]]) -> ListRule:
        self._defaults = load
        return self

    @property
    def defaults(self) -> dict[str, Any]:
        """Keys that an item may leave out, and what they are then."""
        if callable(self._defaults):
            self._defaults = self._defaults()
        return self._defaults


# Any value, owned as a whole.
WHOLE: Final = Atom(scalar=UNTYPED)
WHOLE.map = MapRule(None, WHOLE, atomic=True)
WHOLE.list = ListRule(WHOLE)
# Any value; its maps are owned by key, its lists as a whole. For what no schema describes.
DEDUCED: Final = Atom(scalar=UNTYPED, list=ListRule(WHOLE))
DEDUCED.map = MapRule(None, DEDUCED)

_SCALARS: Final = {
    nodes.STRING: STRING,
    nodes.BYTES: STRING,
    nodes.INTEGER: NUMERIC,
    nodes.NUMBER: NUMERIC,
    nodes.BOOLEAN: BOOLEAN,
    nodes.INT_OR_STRING: UNTYPED,
}


class Nodes:
    """Atoms of schema nodes; one for each shape, however often it occurs."""

    def __init__(self) -> None:
        self._maps: dict[int, MapRule] = {}

    def atom(self, node: Node) -> Atom:
        """The atom of a node of our own types."""
        match node.kind:
            case nodes.OBJECT if node.alternatives:
                return DEDUCED
            case nodes.OBJECT:
                rule = self._struct(node)
                return Atom(map=rule.as_atomic() if node.atomic else rule)
            case nodes.MAP:
                assert node.item is not None
                return Atom(map=MapRule(None, self.atom(node.item), atomic=node.atomic))
            case nodes.LIST:
                return Atom(list=self._list(node))
            case nodes.RAW:
                return WHOLE
            case nodes.ANY:
                return WHOLE if node.atomic else DEDUCED
        if node.format:
            return Atom(scalar=UNTYPED)
        return Atom(scalar=_SCALARS[node.kind])

    def _struct(self, node: Node) -> MapRule:
        shape = node.shape
        assert shape is not None
        rule = self._maps.get(id(shape))
        if rule is None:
            rule = MapRule(
                lambda: {name: self.atom(item) for name, item in shape.fields.items()}, None
            )
            self._maps[id(shape)] = rule
        return rule

    def _list(self, node: Node) -> ListRule:
        assert node.item is not None
        element = self.atom(node.item)
        if node.list_type == "map":
            keys = node.list_keys
        elif node.list_type == "set":
            keys = ()
        elif not node.list_type and node.merge and not node.atomic:
            keys = (node.merge_key,) if node.merge_key else ()
        else:
            return ListRule(element)
        item = node.item
        return ListRule(element, atomic=False, keys=keys).with_defaults(
            lambda: _key_defaults(item, keys)
        )


def _key_defaults(item: Node, keys: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    zeros = {nodes.STRING: "", nodes.INTEGER: 0, nodes.BOOLEAN: False}
    for key in keys:
        field = item.fields.get(key)
        if field is None:
            continue
        if field.has_default:
            found[key] = field.default
        elif field.required and not field.nullable and field.kind in zeros:
            # What upstream publishes as the default of a field that is always written.
            found[key] = zeros[field.kind]
    return found


def of_node(node: Node) -> Atom:
    """The atom of the root of one of our own types."""
    return Nodes().atom(node)
