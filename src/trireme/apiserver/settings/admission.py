"""The settings of admission: which plugins are on, and the configuration of each.

Upstream: apiserver ``server/options/admission.go``, ``admission/config.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from trireme.machinery import configuration, errors
from trireme.machinery.codec import yaml
from trireme.machinery.configuration import Configuration

_GROUP = "apiserver.config.k8s.io"
_VERSIONS = ("v1", "v1alpha1")
# Configurations from before there was one file for all: by the key that they begin with.
_OLD_FORMS = {"imagePolicy": "ImagePolicyWebhook", "podNodeSelectorPluginConfig": "PodNodeSelector"}


@dataclass(frozen=True)
class Admission:
    """``enabled`` and ``disabled`` change the default set; ``configurations`` are the plugins' own
    files by plugin. ``read`` reads the files that those name."""

    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    configurations: Mapping[str, bytes] = field(default_factory=dict)
    read: Callable[[str], bytes] = lambda path: Path(path).read_bytes()


class AdmissionPluginConfiguration(Configuration, frozen=True):
    name: str = ""
    path: str = ""
    configuration: Any = None


class AdmissionConfiguration(Configuration, frozen=True):
    plugins: tuple[AdmissionPluginConfiguration, ...] = ()


def decode(data: bytes, folder: Path, read: Callable[[str], bytes]) -> dict[str, bytes]:
    """The configurations in a file of kind AdmissionConfiguration, by plugin; paths are relative to
    ``folder``. ValueError, OSError."""
    old = _old_form(data)
    if old is not None:
        return {old: data}
    found = configuration.decode(
        data, _GROUP, "AdmissionConfiguration", _VERSIONS, AdmissionConfiguration
    )
    configurations: dict[str, bytes] = {}
    for item in found.plugins:
        if not item.name:
            raise ValueError("plugins: a plugin without a name")
        if item.name in configurations:
            raise ValueError(f"plugins: {item.name} is configured twice")
        if item.configuration is not None:
            configurations[item.name] = msgspec.json.encode(item.configuration)
        elif item.path:
            configurations[item.name] = read(str(folder / item.path))
    return configurations


def _old_form(data: bytes) -> str | None:
    try:
        value = yaml.load(data).value
    except errors.ApiError:
        return None
    if not isinstance(value, dict) or "kind" in value:
        return None
    return next((name for key, name in _OLD_FORMS.items() if key in value), None)
