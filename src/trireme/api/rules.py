"""The small checks that validation of many kinds is made of.

In: the list of errors that a rule adds to, a value, and where it stands: a path and the name of the
field below it, so that the full path is only built for an error. Called by: the rules in ``api/``.
Upstream: apimachinery ``api/validation``, ``meta/v1/validation``, pkg/apis/core/validation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from trireme.machinery import field, intstr, names
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import Condition, LabelSelector
from trireme.machinery.schema import tree
from trireme.machinery.schema.node import BYTES, LIST, MAP, STRING, Node

Errors = list[FieldError]
Syntax = Callable[[str], list[str]]
Check = Callable[[Errors, Path, Any], None]

NOT_NEGATIVE: Final = "must be greater than or equal to 0"
POSITIVE: Final = "must be greater than zero"
IMMUTABLE: Final = "field is immutable"
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")


def add(errs: Errors, at: Path, value: Any, messages: Iterable[str]) -> None:
    """One Invalid error for each message."""
    for message in messages:
        errs.append(field.invalid(at, value, message))


def syntax(errs: Errors, parent: Path, name: str, value: str, check: Syntax) -> None:
    """``value`` keeps to a syntax of ``machinery/names``."""
    messages = check(value)
    if messages:
        add(errs, parent.child(name), value, messages)


def required(errs: Errors, parent: Path, name: str, value: Any, detail: str = "") -> bool:
    """``value`` is there; returns whether it is."""
    if value:
        return True
    errs.append(field.required(parent.child(name), detail))
    return False


def required_syntax(errs: Errors, parent: Path, name: str, value: str, check: Syntax) -> None:
    """``value`` is there and keeps to a syntax."""
    if required(errs, parent, name, value):
        syntax(errs, parent, name, value, check)


def not_negative(errs: Errors, parent: Path, name: str, value: int) -> None:
    """``value`` is 0 or more."""
    if value < 0:
        errs.append(field.invalid(parent.child(name), value, NOT_NEGATIVE))


def positive(errs: Errors, parent: Path, name: str, value: int) -> None:
    """``value`` is 1 or more."""
    if value <= 0:
        errs.append(field.invalid(parent.child(name), value, POSITIVE))


def one_of(errs: Errors, parent: Path, name: str, value: str, supported: Sequence[str]) -> None:
    """``value`` is one of an enumeration."""
    if value not in supported:
        errs.append(field.not_supported(parent.child(name), value, supported))


def required_one_of(
    errs: Errors, parent: Path, name: str, value: str, supported: Sequence[str]
) -> None:
    """``value`` is there and one of an enumeration."""
    if value not in supported:
        at = parent.child(name)
        errs.append(field.not_supported(at, value, supported) if value else field.required(at))


def declared(errs: Errors, at: Path, obj: Any, *names: str) -> None:
    """What the markers of ``obj``'s fields say, of those named or else of all.

    ``Required``: the field is not empty. ``Enum``: it is one of the values; absent is fine, unless
    it is required too, or has a default.
    """
    type_: Any = type(obj)
    _declared(type_, names)(errs, at, obj)


@cache
def _declared(type_: Any, names: tuple[str, ...]) -> Check:
    """The markers of a type's fields as one function: an object that is right costs little."""
    nodes = tree.of(type_).fields
    attributes = dict(zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True))
    marked = names or [name for name, node in nodes.items() if node.required or node.enum]
    source, scope = ["def check(errs, at, obj):"], dict[str, Any]()
    for number, name in enumerate(marked):
        good, scope[f"wrong{number}"], scope[f"values{number}"] = _marks(name, nodes[name])
        source.append(f" value = obj.{attributes[name]}")
        source.append(f" if not ({good.format(f'values{number}')}): wrong{number}(errs, at, value)")
    exec("\n".join(source), scope)
    check: Check = scope["check"]
    return check


def _marks(name: str, node: Node) -> tuple[str, Check, frozenset[Any]]:
    """When a field's ``value`` is right; the error where it is not; the values of its Enum."""
    required = node.required or bool(node.enum and node.has_default and not node.nullable)
    # A number is never absent; "" is, but where None means that.
    may_be_zero = node.nullable if node.kind in (STRING, BYTES) else node.kind not in (LIST, MAP)
    good = "value is not None" if may_be_zero else "value"
    absent: Sequence[Any] = (None,) if may_be_zero else (None, "")
    values = frozenset(node.enum if required else (*node.enum, *absent))

    def wrong(errs: Errors, at: Path, value: Any) -> None:
        if not node.enum or (required and value in absent):
            errs.append(field.required(at.child(name)))
        else:
            errs.append(field.not_supported(at.child(name), value, node.enum))

    return "value in {}" if node.enum else good if required else "True", wrong, values


def unchanged(errs: Errors, parent: Path, name: str, new: Any, old: Any) -> None:
    """``new`` equals ``old``."""
    if new != old:
        errs.append(field.invalid(parent.child(name), new, IMMUTABLE))


def port_number_or_name(errs: Errors, parent: Path, name: str, port: int | str) -> None:
    """A port by number, or by the name that a container port has."""
    check = names.is_port_number(port) if isinstance(port, int) else names.is_port_name(port)
    if check:
        add(errs, parent.child(name), port, check)


def percentage_or_count(errs: Errors, parent: Path, name: str, value: int | str) -> None:
    """A number of things, or a percentage of them; not negative."""
    if isinstance(value, int):
        not_negative(errs, parent, name, value)
    else:
        syntax(errs, parent, name, value, names.is_percent)


def at_most_all(errs: Errors, parent: Path, name: str, value: int | str) -> None:
    """A percentage is at most 100."""
    if isinstance(value, str) and intstr.is_percent(value) and intstr.percent(value) > 100:
        errs.append(field.invalid(parent.child(name), value, "must not be greater than 100%"))


def labels(errs: Errors, at: Path, values: dict[str, str]) -> None:
    """Label keys and values."""
    for key, value in values.items():
        messages = names.is_qualified_name(key)
        if messages:
            add(errs, at, key, messages)
        messages = names.is_label_value(value)
        if messages:
            add(errs, at, value, messages)


def label_selector(errs: Errors, at: Path, selector: LabelSelector | None) -> None:
    """A selector over labels; None is fine."""
    if selector is None:
        return
    if selector.matchLabels:
        labels(errs, at.child("matchLabels"), selector.matchLabels)
    for position, item in enumerate(selector.matchExpressions):
        here = at.child("matchExpressions").index(position)
        if item.operator in ("In", "NotIn"):
            if not item.values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                errs.append(field.required(here.child("values"), detail))
        elif item.operator in ("Exists", "DoesNotExist"):
            if item.values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errs.append(field.forbidden(here.child("values"), detail))
        else:
            detail = "not a valid selector operator"
            errs.append(field.invalid(here.child("operator"), item.operator, detail))
        syntax(errs, here, "key", item.key, names.is_qualified_name)
        for number, value in enumerate(item.values):
            messages = names.is_label_value(value)
            if messages:
                add(errs, here.child("values").index(number), value, messages)


def endpoint_ip(errs: Errors, at: Path, text: str) -> None:
    """An address that traffic can be sent to: not this host's own, not of a link."""
    address = names.parse_ip_sloppy(text)
    if address is None:
        errs.append(field.invalid(at, text, "must be a valid IP address"))
        return
    if address.is_unspecified:
        errs.append(field.invalid(at, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
        errs.append(field.invalid(at, text, detail))
    if address.is_link_local:
        detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        errs.append(field.invalid(at, text, detail))
    if any(address in network for network in _LINK_LOCAL_MULTICAST):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errs.append(field.invalid(at, text, detail))


_LINK_LOCAL_MULTICAST: Final = (
    ipaddress.ip_network("224.0.0.0/24"),
    ipaddress.ip_network("ff02::/16"),
)


def is_dual_stack(addresses: Sequence[str]) -> bool:
    """Whether the addresses are of both families."""
    families = {":" in text for text in addresses}
    return len(families) == 2


def conditions(errs: Errors, at: Path, items: Sequence[Condition]) -> None:
    """metav1 conditions: unique types, known status, a reason."""
    used: set[str] = set()
    for position, item in enumerate(items):
        here = at.index(position)
        if item.type in used:
            errs.append(field.duplicate(here.child("type"), item.type))
        used.add(item.type)
        _condition(errs, here, item)


def _condition(errs: Errors, at: Path, item: Condition) -> None:
    syntax(errs, at, "type", item.type, names.is_qualified_name)
    one_of(errs, at, "status", item.status, ("False", "True", "Unknown"))
    if item.observedGeneration < 0:
        detail = "must be greater than or equal to zero"
        errs.append(field.invalid(at.child("observedGeneration"), item.observedGeneration, detail))
    if not item.lastTransitionTime:
        errs.append(field.required(at.child("lastTransitionTime")))
    if len(item.reason) == 0:
        errs.append(field.required(at.child("reason")))
    else:
        messages = names.is_condition_reason(item.reason)
        add(errs, at.child("reason"), item.reason, messages)
        if len(item.reason.encode()) > 1024:
            errs.append(field.too_long(at.child("reason"), 1024))
    if len(item.message.encode()) > 32 * 1024:
        errs.append(field.too_long(at.child("message"), 32 * 1024))
