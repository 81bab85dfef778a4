"""Strategic merge patch: a merge patch that knows which lists are merged, and by which key.

In: the body of an ``application/strategic-merge-patch+json`` request, a plain document and the
schema ``Node`` of its kind. Out: the new document. Called by: the API server's patch verb, the CLI
(``set``, ``annotate``, ``rollout``). Rules: apimachinery ``util/strategicpatch``;
tasks/manage-kubernetes-objects/update-api-object-kubectl-patch.md.

Directives in a patch: ``$patch: delete | replace`` in an object or list item,
``$deleteFromPrimitiveList/<field>``, ``$setElementOrder/<field>``, ``$retainKeys``. A list without
a merge strategy is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from trireme.machinery import errors, gotext
from trireme.machinery.schema import decode
from trireme.machinery.schema.node import ANY, Node

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
DELETE_PREFIX: Final = "$deleteFromPrimitiveList"
ORDER_PREFIX: Final = "$setElementOrder"

Object = dict[str, Any]

_ANY: Final = Node(ANY, "interface {}")
_BAD_PRIMITIVE_LIST: Final = "invalid patch format of primitive list"
_BAD_RETAIN_KEYS: Final = "invalid patch format of retainKeys"
_BAD_ORDER: Final = "invalid patch format of setElementOrder list"


def parse(data: bytes, mode: str = decode.WARN) -> tuple[Object, list[str]]:
    """The patch that ``data`` holds, and its duplicate members unless they are ignored. Raises
    ApiError 400."""
    looking = decode.IGNORE if mode == decode.IGNORE else decode.WARN
    patch, twice = decode.untyped(data, looking)
    if not isinstance(patch, dict | None):
        raise errors.bad_request(decode.no_map(patch))
    return patch or {}, twice


def apply(document: Object, patch: Object, node: Node) -> Object:
    """``document`` after ``patch``. Raises ApiError 400 or 422 for an invalid patch."""
    return _merge_object(document, patch, node)


def _merge_object(original: Object, patch: Object, node: Node) -> Object:
    if DIRECTIVE in patch:
        return _whole_object(patch)
    original, patch = dict(original), dict(patch)
    if RETAIN_KEYS in patch:
        _retain_keys(original, patch)
    for name in [name for name in patch if name.startswith(ORDER_PREFIX)]:
        _merge_ordered(original, patch, name, node)
    # Upstream deletes and adds in random order; deleting first keeps what the patch adds.
    for name in [name for name in patch if name.startswith(DELETE_PREFIX)]:
        _delete_values(original, _field_of(name, _BAD_PRIMITIVE_LIST), patch.pop(name))
    for name, value in patch.items():
        if value is None:
            original.pop(name, None)
        else:
            _merge_field(original, name, value, node)
    return original


def _merge_field(original: Object, name: str, value: Any, node: Node) -> None:
    """Merge one member that is not null into ``original``."""
    present = original.get(name)
    if isinstance(present, dict) and isinstance(value, dict):
        here = _below(node, name)
        original[name] = value if here.replace else _merge_object(present, value, here)
    elif isinstance(present, list) and isinstance(value, list):
        original[name] = _merge_list(present, value, _below(node, name))
    else:
        clean, keep = _clean(value)
        if keep:
            original[name] = clean
        else:
            original.pop(name, None)


def _whole_object(patch: Object) -> Object:
    """What ``$patch`` makes of an object as a whole."""
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return {}
    raise _unknown_directive(patch)


def _retain_keys(original: Object, patch: Object) -> None:
    """Drop from ``original`` what ``$retainKeys`` does not name, and the directive itself."""
    kept = patch.pop(RETAIN_KEYS)
    if not isinstance(kept, list):
        raise errors.bad_request(_BAD_RETAIN_KEYS)
    for name, value in patch.items():
        is_set = value is not None and not name.startswith((DELETE_PREFIX, ORDER_PREFIX))
        if is_set and name not in kept:
            raise errors.bad_request(_BAD_RETAIN_KEYS)
    for name in [name for name in original if name not in kept]:
        del original[name]


def _delete_values(original: Object, name: str, values: Any) -> None:
    """Take the values of ``$deleteFromPrimitiveList`` out of a list of scalars."""
    present = original.get(name)
    if values is None:
        original.pop(name, None)
    elif isinstance(present, list) and isinstance(values, list):
        if present or values:
            _item_type(present, values)
        identity = _identity("")
        removed = {identity(item) for item in values}
        original[name] = [item for item in present if identity(item) not in removed]


def _merge_ordered(original: Object, patch: Object, directive: str, node: Node) -> None:
    """Merge the list that ``$setElementOrder`` speaks of, in the order that it demands."""
    order = patch.pop(directive)
    if not isinstance(order, list):
        raise errors.bad_request(_BAD_ORDER)
    name = _field_of(directive, _BAD_ORDER)
    here = _below(node, name)
    for holder in (original, patch):
        if holder.get(name) is not None and not isinstance(holder[name], list):
            raise errors.bad_request(_BAD_ORDER)
    present, patched = original.get(name), patch.get(name)
    if present is None and patched is None:
        return
    _check_order(patched or [], order, here.merge_key)
    if patched is None:
        merged = present
    elif present is None:
        merged, _ = _clean(patched)
    else:
        merged = _merge_list(present, patched, here)
    patch.pop(name, None)
    if merged:
        _item_type(merged, order)
        server = _server_order(present or [], patched or [], here.merge_key)
        merged = _in_order(merged, order, server, _identity(here.merge_key))
    original[name] = merged


def _server_order(present: list[Any], patched: list[Any], key: str) -> list[Any]:
    """The order of the server's items, by which items that only it has find their place.

    Upstream puts added items into the slots that deleted ones left, before it orders the list, and
    so takes the former for the server's own. Clients see the order that comes of it.
    """
    deleted = [item for item in patched if isinstance(item, dict) and DIRECTIVE in item]
    if not key or not deleted:
        return present
    identity = _identity(key)
    gone = {identity(item) for item in deleted if item[DIRECTIVE] == "delete"}
    kept = [item for item in present if identity(item) not in gone]
    known = {identity(item) for item in kept}
    added = [item for item in patched if item not in deleted and identity(item) not in known]
    return kept + added[: len(present) - len(kept)]


def _check_order(items: list[Any], order: list[Any], key: str) -> None:
    """The items of the patch must stand in the order list, in that order."""
    if not items or not order:
        return
    identity = _identity(key)
    places = [identity(item) for item in order]
    place = 0
    for item in items:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        while place < len(order) and identity(item) != places[place]:
            place += 1
        if place == len(order):
            raise errors.bad_request(
                f"The order in patch list:\n{gotext.plain(items)}\n doesn't match {ORDER_PREFIX} "
                f"list:\n{gotext.plain(order)}\n"
            )
        place += 1


def _merge_list(original: list[Any], patch: list[Any], node: Node) -> list[Any]:
    if not node.merge:
        return patch
    if not original and not patch:
        return original
    if _item_type(original, patch) is not dict:
        identity = _identity("")
        merged = list({identity(item): item for item in [*original, *patch]}.values())
        return _in_order(merged, patch, original, identity)
    if not node.merge_key:
        raise errors.bad_request(f"cannot merge lists without merge key for {node.go_type}")
    original, patch = _take_directives(original, patch, node.merge_key)
    merged = _merge_items(original, patch, node)
    return _in_order(merged, patch, original, _identity(node.merge_key))


def _take_directives(
    original: list[Object], patch: list[Object], key: str
) -> tuple[list[Object], list[Object]]:
    """``original`` after the deletions of ``patch``, and ``patch`` without its directives."""
    plain = [item for item in patch if DIRECTIVE not in item]
    replace = False
    for item in patch:
        if DIRECTIVE not in item:
            continue
        if item[DIRECTIVE] == "delete":
            identity = _identity(key)
            removed = identity(item)
            original = [here for here in original if key not in here or identity(here) != removed]
        elif item[DIRECTIVE] == "replace":
            replace = True
        elif item[DIRECTIVE] == "merge":
            raise errors.bad_request("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(item)
    return (plain, []) if replace else (original, plain)


def _merge_items(original: list[Object], patch: list[Object], node: Node) -> list[Object]:
    merged = list(original)
    identity = _identity(node.merge_key)
    places: dict[Hashable, int] = {}
    for position, item in enumerate(original):
        if node.merge_key in item:
            places.setdefault(identity(item), position)
    for item in patch:
        position = places.setdefault(identity(item), len(merged))
        if position == len(merged):
            merged.append(item)
        else:
            merged[position] = _merge_object(merged[position], item, node.item or _ANY)
    return merged


def _in_order(
    merged: list[Any], order: list[Any], server: list[Any], identity: Callable[[Any], Hashable]
) -> list[Any]:
    """``merged`` with the items of ``order`` in that order, merged with those of the server.

    Items that only the server has keep their order, and come before an item of ``order`` only
    where the server had them before it.
    """
    places = _places(order, identity)
    before = _places(server, identity)
    listed = [item for item in merged if identity(item) in places]
    others = [item for item in merged if identity(item) not in places]
    listed.sort(key=lambda item: places[identity(item)])
    others.sort(key=lambda item: before.get(identity(item), -1))
    woven: list[Any] = []
    left = right = 0
    while left < len(others) and right < len(listed):
        here = before.get(identity(others[left]), -1)
        if 0 <= here < before.get(identity(listed[right]), -1):
            woven.append(others[left])
            left += 1
        else:
            woven.append(listed[right])
            right += 1
    return woven + listed[right:] + others[left:]


def _places(items: list[Any], identity: Callable[[Any], Hashable]) -> dict[Hashable, int]:
    places: dict[Hashable, int] = {}
    for position, item in enumerate(items):
        places.setdefault(identity(item), position)
    return places


def _identity(key: str) -> Callable[[Any], Hashable]:
    """What identifies an item of a list: its value, or that of its merge key."""

    def identity(item: Any) -> Hashable:
        value = _key_of(item, key) if key else item
        if isinstance(value, dict | list):
            quoted = gotext.plain(value)
            raise errors.bad_request(
                f"list items cannot be told apart by {quoted}, only by scalars"
            )
        return type(value), value

    return identity


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        quoted = gotext.plain(item)
        raise errors.bad_request(f"expected an object with key {key}, but received {quoted}")
    if key not in item:
        quoted = gotext.plain(item)
        raise errors.bad_request(f"map: {quoted} does not contain declared merge key: {key}")
    return item[key]


def _item_type(*lists: list[Any]) -> type:
    """The one type of all items. Lists of lists, and mixtures, cannot be merged."""
    found = {type(item) for items in lists for item in items}
    if list in found:
        # Upstream's reply carries only the generic text.
        raise errors.generic(422, "", "", "", "lists of lists are not supported")
    if len(found) > 1:
        quoted = gotext.plain([*lists])
        raise errors.bad_request(f"list element types are not identical: {quoted}")
    return found.pop()


def _clean(value: Any) -> tuple[Any, bool]:
    """A new value without nulls and directives; False when the value itself is a directive."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return None, False
        members: Object = {}
        for name, item in value.items():
            if item is not None:
                clean, keep = _clean(item)
                if keep:
                    members[name] = clean
        return members, True
    if isinstance(value, list):
        items = [_clean(item) for item in value]
        return [clean for clean, keep in items if keep], True
    return value, True


def _below(node: Node, name: str) -> Node:
    """The schema of a member; free-form JSON merges without one."""
    if node.kind == ANY:
        return _ANY
    if node.shape is None:
        return node.item or _ANY
    found = node.fields.get(name)
    if found is None:
        detail = f'unable to find api field in struct {node.name} for the json field "{name}"'
        raise errors.bad_request(detail)
    return found


def _field_of(directive: str, message: str) -> str:
    _, slash, name = directive.partition("/")
    if not slash:
        raise errors.bad_request(message)
    return name


def _unknown_directive(item: Object) -> errors.ApiError:
    quoted = gotext.plain(item[DIRECTIVE])
    return errors.bad_request(f"unknown patch type: {quoted} in map: {gotext.plain(item)}")
