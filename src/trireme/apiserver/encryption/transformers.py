"""Which providers read and write the values of a kind, and which values are stale.

In: rules of EncryptionConfiguration, keys and values of the store. Out: what is stored, and back.
Given to the store by ``run``. Off, nothing is changed, and what is encrypted is refused. Upstream:
apiserver ``pkg/storage/value/transformer.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trireme.apiserver.encryption import configuration
from trireme.apiserver.encryption.configuration import Rule
from trireme.apiserver.encryption.providers import aescbc, aesgcm, secretbox
from trireme.apiserver.encryption.providers.contract import (
    Plugin,
    Provider,
    TransformError,
    reduced,
)
from trireme.apiserver.encryption.providers.identity import ENCRYPTED, Identity
from trireme.apiserver.storage.layout import Layout, kind
from trireme.store.contract import StoreUnavailable, Unreadable

MakeKms = Callable[[str, str, float], Plugin]


class Chain:
    """Providers in their order: the first one writes."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = providers
        self.kms = _kms(providers)

    def to_storage(self, data: bytes, context: bytes) -> bytes:
        first = self._providers[0]
        return first.prefix + first.to_storage(data, context)

    def from_storage(self, data: bytes, context: bytes) -> tuple[bytes, object]:
        """The value, and the token of its encryption."""
        problems: list[str] = []
        for position, provider in enumerate(self._providers):
            if not data.startswith(provider.prefix):
                continue
            inner = data[len(provider.prefix) :]
            try:
                return provider.from_storage(inner, context), (position, provider.token(inner))
            except TransformError as error:
                # Identity comes first while encryption is given up: what it cannot read, others do.
                if provider.prefix:
                    problems.append(str(error))
        raise TransformError(reduced(problems) or "no matching prefix found")

    def current(self) -> object:
        return 0, self._providers[0].current()


class _Off(Chain):
    """Kinds of no rule."""

    def __init__(self) -> None:
        super().__init__([Identity()])

    def from_storage(self, data: bytes, context: bytes) -> tuple[bytes, object]:
        return self._providers[0].from_storage(data, context), self.current()


class Transformers:
    """``layout``: the keys in etcd, to which values are bound in any store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._chains: dict[tuple[str, str], Chain] = {}
        self._off = _Off()
        self._tokens: dict[str, object] = {}

    @property
    def is_off(self) -> bool:
        return not self._chains

    def put(self, rules: Iterable[Rule], make_kms: MakeKms) -> list[Plugin]:
        """Use other rules from now on; the KMS providers of them. ValueError."""
        found: dict[tuple[str, str], list[Provider]] = {}
        kms: list[Plugin] = []
        for rule in rules:
            providers = [_provider(item, make_kms) for item in rule.providers]
            kms += _kms(providers)
            for name in rule.resources:
                found.setdefault(configuration.group_resource(name), []).extend(providers)
        self._chains = {key: Chain(providers) for key, providers in found.items()}
        return kms

    def to_storage(self, key: str, value: bytes) -> bytes:
        """StoreUnavailable."""
        if not self._chains:
            return value
        chain = self._chain(key)
        if chain is self._off:
            return value
        try:
            stored = chain.to_storage(value, self._context(key))
        except TransformError as error:
            raise StoreUnavailable(str(error)) from None
        self._tokens[key] = chain.current()
        return stored

    def from_storage(self, key: str, data: bytes) -> bytes:
        """Unreadable."""
        if not self._chains and not data.startswith(ENCRYPTED):
            return data
        chain = self._chain(key)
        try:
            value, token = chain.from_storage(data, self._context(key))
        except TransformError as error:
            raise Unreadable(key, str(error)) from None
        if chain is not self._off:
            self._tokens[key] = token
        return value

    def stale(self, key: str) -> bool:
        """Whether the item would be stored otherwise today, though its value is the same."""
        if not self._chains and not self._tokens:
            return False
        return self._tokens.get(key, self._off.current()) != self._chain(key).current()

    def forget(self, key: str) -> None:
        self._tokens.pop(key, None)

    async def prepare(self, values: Iterable[tuple[str, bytes]]) -> None:
        """Before values are read: have the KMS plugins decrypt the seeds that are new."""
        for key, data in values:
            for provider in self._chain(key).kms:
                if data.startswith(provider.prefix):
                    inner = data[len(provider.prefix) :]
                    if provider.is_unknown(inner):
                        await provider.learn(inner)

    @property
    def asks(self) -> bool:
        """Whether ``prepare`` may have anything to do."""
        return any(chain.kms for chain in self._chains.values())

    def _chain(self, key: str) -> Chain:
        resource, group = configuration.group_resource(kind(key))
        chains = self._chains
        for found in ((resource, group), ("*", group), ("*", "*")):
            chain = chains.get(found)
            if chain is not None:
                return chain
        return self._off

    def _context(self, key: str) -> bytes:
        return self._layout.outside(key).encode()


def _provider(item: configuration.Provider, make_kms: MakeKms) -> Provider:
    def named(keys: configuration.Keys) -> list[tuple[str, bytes]]:
        return [(key.name, configuration.secret(key)) for key in keys.keys]

    if item.aescbc is not None:
        return aescbc.provider(named(item.aescbc))
    if item.aesgcm is not None:
        return aesgcm.provider(named(item.aesgcm))
    if item.secretbox is not None:
        return secretbox.provider(named(item.secretbox))
    if item.kms is not None:
        kms = item.kms
        return make_kms(kms.name, kms.endpoint, configuration.seconds(kms.timeout))
    return Identity()


def _kms(providers: Iterable[Any]) -> list[Plugin]:
    """The plugins among the providers: what has to be looked at."""
    return [item for item in providers if hasattr(item, "check")]
