"""Discovery of values by folder: one small file per value, without a list to maintain.

A package says ``__getattr__ = catalog.lazy(__name__, __path__)`` and then answers to every public
name that a module below it defines, importing the modules at the first question. ``modules()``
walks a package in a fixed (alphabetical) order; callers pick what they need from each module by
type (resources, plugins, reconcilers). Nothing is registered by side effect.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every module below ``package``, sub-packages included, in alphabetical order."""
    yield from _walk(package.__name__, package.__path__)


def instances(package: ModuleType, of: type[T]) -> list[T]:
    """Every module-level value of type ``of`` that a module below ``package`` itself defines."""
    key: Any = of
    return list(_instances(package, key))


@functools.cache
def _instances(package: ModuleType, of: Any) -> tuple[Any, ...]:
    found: dict[int, Any] = {}
    for module in modules(package):
        for value in vars(module).values():
            if isinstance(value, of):
                found.setdefault(id(value), value)
    return tuple(found.values())


def lazy(package_name: str, path: Iterable[str]) -> Callable[[str], Any]:
    """A module ``__getattr__`` that resolves names to classes defined in the package's modules."""
    names: dict[str, Any] = {}

    def resolve(name: str) -> Any:
        # A module's own name is asked for here first, before it is imported.
        if not name[0].isupper():
            raise AttributeError(name)
        if name not in names:
            # Again at every miss: the first walk may have met modules that were half imported.
            for module in _walk(package_name, path):
                for key, value in vars(module).items():
                    if isinstance(value, type) and value.__module__ == module.__name__:
                        names[key] = value
        try:
            return names[name]
        except KeyError:
            raise AttributeError(f"{package_name} has no type {name!r}") from None

    return resolve


def _walk(name: str, path: Iterable[str]) -> Iterator[ModuleType]:
    for info in sorted(pkgutil.iter_modules(path), key=lambda item: item.name):
        module = importlib.import_module(f"{name}.{info.name}")
        yield module
        if info.ispkg:
            yield from _walk(module.__name__, module.__path__)
