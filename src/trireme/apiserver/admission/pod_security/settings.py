"""PodSecurityConfiguration: what holds where a namespace says nothing, and who is exempt.

In: the decoded configuration. Out: ``Settings``. Upstream: pod-security-admission
``admission/api``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from trireme.apiserver.admission.pod_security import levels
from trireme.apiserver.admission.pod_security.levels import LevelVersion, Policy
from trireme.machinery import configuration, field, names
from trireme.machinery.configuration import Configuration
from trireme.machinery.field import FieldError

GROUP = "pod-security.admission.config.k8s.io"


@dataclass(frozen=True)
class Settings:
    defaults: Policy = dataclasses.field(default_factory=Policy)
    usernames: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()


class _Defaults(Configuration, frozen=True, rename=lambda name: name.replace("_", "-")):
    enforce: str = levels.PRIVILEGED
    enforce_version: str = "latest"
    audit: str = levels.PRIVILEGED
    audit_version: str = "latest"
    warn: str = levels.PRIVILEGED
    warn_version: str = "latest"


class _Exemptions(Configuration, frozen=True):
    usernames: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    runtimeClasses: tuple[str, ...] = ()


class _File(Configuration, frozen=True):
    defaults: _Defaults = _Defaults()
    exemptions: _Exemptions = _Exemptions()


def decode(data: bytes | None) -> Settings:
    """From a file of kind PodSecurityConfiguration. ValueError."""
    if data is None:
        return Settings()
    versions = ("v1", "v1beta1", "v1alpha1")
    found = configuration.decode(data, GROUP, "PodSecurityConfiguration", versions, _File)
    defaults, exempt = found.defaults, found.exemptions
    texts = msgspec.to_builtins(defaults)
    errs = levels.default_errors(texts) + _exemption_errors(exempt)
    if errs:
        raise ValueError(field.join(errs))

    def demanded(mode: str) -> LevelVersion:
        version = levels.version(texts[f"{mode}-version"])
        assert version is not None
        return LevelVersion(texts[mode], version)

    policy = Policy(demanded("enforce"), demanded("audit"), demanded("warn"))
    return Settings(
        policy,
        frozenset(exempt.usernames),
        frozenset(exempt.runtimeClasses),
        frozenset(exempt.namespaces),
    )


def _exemption_errors(exempt: _Exemptions) -> list[FieldError]:
    errs: list[FieldError] = []
    rules: dict[str, Callable[[str], list[str]]] = {
        "namespaces": names.is_dns1123_label,
        "runtimeClasses": names.is_dns1123_subdomain,
        "usernames": lambda text: [] if text else ["username must not be empty"],
    }
    for name, rule in rules.items():
        observed: set[str] = set()
        for position, text in enumerate(getattr(exempt, name)):
            at = field.path("exemptions", name).index(position)
            if problems := rule(text):
                errs.append(field.invalid(at, text, ", ".join(problems)))
            elif text in observed:
                errs.append(field.duplicate(at, text))
            observed.add(text)
    return errs
