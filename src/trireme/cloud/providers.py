"""The provider that a name stands for.

In: the value of ``--cloud-provider``: ``package.module:function``, or the name of an entry point in
the group ``trireme.cloud_providers`` of an installed package. Out: the ``Cloud`` that the function
makes. Called by the composition root. https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trireme.cloud.contract import Cloud
from trireme.kit.env import Env

GROUP = "trireme.cloud_providers"


class UnknownProvider(ValueError):
    """There is no such provider; the text has the reason."""


@dataclass(frozen=True)
class ProviderArguments:
    """What a provider is made from. ``config_file`` is ``--cloud-config``, None without."""

    env: Env
    cluster_name: str
    config_file: Path | None = None


MakeCloud = Callable[[ProviderArguments], Cloud]


def find(name: str) -> MakeCloud:
    """The function that makes the provider. UnknownProvider."""
    if ":" in name:
        return _imported(name)
    known = importlib.metadata.entry_points(group=GROUP)
    if name not in known.names:
        names = ", ".join(sorted(known.names)) or "none is installed"
        raise UnknownProvider(
            f"cloud provider {name!r}: not MODULE:FUNCTION, and no installed provider ({names})"
        )
    made: MakeCloud = known[name].load()
    return made


def _imported(name: str) -> MakeCloud:
    module, _, attribute = name.partition(":")
    try:
        made: MakeCloud | None = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise UnknownProvider(f"cloud provider {name!r}: {error}") from None
    if made is None or not callable(made):
        raise UnknownProvider(f"cloud provider {name!r}: {module} has no function {attribute!r}")
    return made
