"""Which Kubernetes this is: what /version answers, and a metric says. Upstream: component-base
``version``."""

from __future__ import annotations

import platform
from typing import Final

import prometheus_client

from trireme.kit import metrics

_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_LABELS: Final = {
    "build_date": "buildDate",
    "compiler": "compiler",
    "git_commit": "gitCommit",
    "git_tree_state": "gitTreeState",
    "git_version": "gitVersion",
    "go_version": "goVersion",
    "major": "major",
    "minor": "minor",
    "platform": "platform",
}


def info(version: str) -> dict[str, str]:
    """The version ("v1.36.2"), in the form of ``version.Info``."""
    major, minor, _ = version.lstrip("v").split(".")
    machine = platform.machine()
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{version}+trireme",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{_MACHINES.get(machine, machine)}",
    }


def show(registry: prometheus_client.CollectorRegistry, version: str) -> None:
    """Show the version in a registry."""
    about = info(version)
    metrics.gauge(
        registry, "kubernetes_build_info", "Which Kubernetes this is; always 1", list(_LABELS)
    ).labels(*(about[key] for key in _LABELS.values())).set(1)
