"""Upstream's keys in etcd, and ours. Pure.

Ours are ``/registry/<plural[.group]>/…``. Upstream has built-in kinds under their plural alone,
with a few old names, and all others under ``<group>/<plural>``. What is neither (``ranges``,
``masterleases``) has the same name in both. Upstream: pkg/kubeapiserver
``default_storage_factory_builder.go``, and the RESTOptions of apiextensions and kube-aggregator.
"""

from __future__ import annotations

from collections.abc import Iterable

ROOT = "/registry/"
_OLD = {
    "replicationcontrollers": "controllers",
    "endpoints": "services/endpoints",
    "nodes": "minions",
    "services": "services/specs",
    "ingresses.networking.k8s.io": "ingress",
}
# Built in, but served by an API server of their own inside upstream's.
_GROUPED = ("apiextensions.k8s.io", "apiregistration.k8s.io")


class Layout:
    """``built_in``: the built-in kinds that are stored, as plural[.group]. ``prefix``: of all keys
    in etcd."""

    def __init__(self, built_in: Iterable[str], prefix: str = "/registry") -> None:
        self._prefix = f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
        self._outside: dict[str, str] = {}
        self._inside: dict[str, str] = {}
        for name in built_in:
            plural, _, group = name.partition(".")
            if group not in _GROUPED:
                outside = _OLD.get(name, plural)
                self._outside[name] = outside
                self._inside[outside] = name

    def outside(self, key: str) -> str:
        """The key in etcd of a key of ours."""
        name, slash, rest = key.removeprefix(ROOT).partition("/")
        known = self._outside.get(name)
        if known is None:
            plural, dot, group = name.partition(".")
            known = f"{group}/{plural}" if dot else name
        return f"{self._prefix}{known}{slash}{rest}"

    def inside(self, key: str) -> str | None:
        """Our key of a key in etcd; None where it is not below the prefix."""
        if not key.startswith(self._prefix):
            return None
        name, slash, rest = key[len(self._prefix) :].partition("/")
        known = self._inside.get(name)
        if known is not None:
            return f"{ROOT}{known}{slash}{rest}"
        if "." in name or name == "services":
            second, slash, rest = rest.partition("/")
            known = self._inside.get(f"{name}/{second}")
            if known is None:
                known = f"{second}.{name}"
            return f"{ROOT}{known}{slash}{rest}"
        return f"{ROOT}{name}{slash}{rest}"


def kind(key: str) -> str:
    """plural[.group] of a key of ours."""
    return key[len(ROOT) : key.find("/", len(ROOT))]
