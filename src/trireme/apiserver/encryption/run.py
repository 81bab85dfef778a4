"""Encryption at rest while a server runs: the file, read again where that is asked for, and the KMS
plugins, asked how they are.

In: the settings. Out: the transformers that the store uses, and what is wrong for /readyz. Made by
``run``. Upstream: apiserver ``pkg/server/options/encryptionconfig``.
"""

from __future__ import annotations

import asyncio

from trireme import api
from trireme.api.catalog import Catalog
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.encryption import configuration
from trireme.apiserver.encryption.providers.contract import Plugin
from trireme.apiserver.encryption.transformers import Transformers
from trireme.apiserver.reload import File
from trireme.apiserver.storage.layout import Layout
from trireme.kit.env import Env

# Seconds between two looks at the file.
INTERVAL = 60.0


class Encryption:
    """``start`` before the store, ``run`` beside the server, ``close`` at the end."""

    def __init__(self, config: ApiServerConfig, env: Env) -> None:
        self._settings, self._store, self._env = config.encryption, config.store, env
        stored = (
            item.group_resource for item in Catalog.of(api).resources if item.stored_as is None
        )
        self._transformers = Transformers(Layout(stored, self._settings.prefix))
        self._file: File | None = None
        self._kms: list[Plugin] = []
        self._due: dict[Plugin, float] = {}

    async def start(self) -> None:
        """ValueError, OSError where the file cannot be used."""
        read = self._settings.read
        if read is not None:
            content = await asyncio.to_thread(read)
            await self._use(content)
            if self._settings.reload:
                self._file = File(read, self._reload, content)
        self._store.transform(self._transformers)

    def problem(self) -> str:
        """What is wrong with a plugin; "" for nothing."""
        return next((kms.problem for kms in self._kms if kms.problem), "")

    @property
    def has_kms(self) -> bool:
        return bool(self._kms)

    async def run(self) -> None:
        """For ever; returns at once where there is nothing to look at."""
        clock = self._env.clock
        look_at = clock.monotonic() + INTERVAL
        while self._kms or self._file is not None:
            due = min([look_at, *self._due.values()])
            await clock.sleep(max(0.0, due - clock.monotonic()))
            for kms in [kms for kms, at in self._due.items() if at <= clock.monotonic()]:
                await self._check(kms)
            if clock.monotonic() >= look_at:
                look_at = clock.monotonic() + INTERVAL
                await self._look()

    async def _look(self) -> None:
        if self._file is None:
            return
        try:
            await self._file.look()
        except (OSError, ValueError) as error:
            self._env.log.error("the encryption configuration was not reloaded: %s", error)

    async def _reload(self, content: bytes) -> None:
        await self._use(content)
        await self._store.reread()
        self._env.log.info("the encryption configuration was reloaded")

    async def _use(self, content: bytes) -> None:
        make = self._settings.make_kms

        def make_kms(name: str, endpoint: str, timeout: float) -> Plugin:
            if make is None:
                raise ValueError("there is no way to KMS plugins here")
            plugin: Plugin = make(name, endpoint, timeout, self._env)
            return plugin

        rules = configuration.decode(content)
        before = self._kms
        self._kms = self._transformers.put(rules, make_kms)
        self._due = {}
        for kms in self._kms:
            await self._check(kms)
        for kms in before:
            await kms.close()

    async def _check(self, kms: Plugin) -> None:
        was = kms.problem
        await kms.check()
        if kms.problem and kms.problem != was:
            self._env.log.error("%s", kms.problem)
        self._due[kms] = self._env.clock.monotonic() + kms.pause
        if was and not kms.problem and self._store.revision > 1:
            await self._store.reread()

    async def close(self) -> None:
        for kms in self._kms:
            await kms.close()
