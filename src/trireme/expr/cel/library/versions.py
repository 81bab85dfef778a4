"""Which library belongs to which version of Kubernetes.

Called by: ``environment``. Rules: apiserver ``pkg/cel/environment/base``.
"""

from __future__ import annotations

from ..functions import Overload
from ..types import Type
from . import (
    addresses,
    authz,
    formats,
    lists,
    optionals,
    quantities,
    regexes,
    semvers,
    standard,
    strings,
    urls,
)


def overloads(version: tuple[int, int]) -> list[Overload]:
    """The functions of an environment of ``version``, in the order in which they are tried."""
    out = [*standard.OVERLOADS, *urls.OVERLOADS, *regexes.OVERLOADS, *lists.KUBERNETES]
    if version >= (1, 27):
        out += authz.OVERLOADS
    if version >= (1, 28):
        out += [*optionals.OVERLOADS, *quantities.OVERLOADS]
    out += strings.OVERLOADS
    if version >= (1, 29):
        out += strings.SINCE_1_29
    out += strings.JOIN
    if version >= (1, 29):
        out += lists.SETS
    if version >= (1, 30):
        out += [*addresses.IP_OVERLOADS, *addresses.CIDR_OVERLOADS]
    if version >= (1, 31):
        out += [*formats.OVERLOADS, *authz.SELECTORS]
    if version >= (1, 32):
        out += lists.MAP_INSERT
    if version >= (1, 33):
        out += semvers.OVERLOADS
    if version >= (1, 34):
        out += lists.EXTENSION
    return out


def type_names(version: tuple[int, int]) -> dict[str, Type]:
    """The types that expressions may name besides the language's own."""
    return dict(addresses.TYPES) if version >= (1, 30) else {}
