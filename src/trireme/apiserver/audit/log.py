"""Audit events in a file, one in each line: --audit-log-path.

In: events. Out: lines of JSON, or of upstream's legacy text. The file is put aside when it is
large; old ones are compressed and deleted. Upstream: apiserver ``plugin/pkg/audit/log``, and the
library lumberjack that it rotates with.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from trireme.apiserver.audit import truncate
from trireme.apiserver.audit.event import Event
from trireme.apiserver.audit.queue import Queue
from trireme.apiserver.settings.audit import LogSettings
from trireme.kit.env import Env
from trireme.machinery import gotext

MEGABYTE = 1024 * 1024
_DAY = 24 * 3600.0
_STAMP = "%Y-%m-%dT%H-%M-%S"
_GZ = ".gz"


class LogSink:
    """Writes to a file, or to standard output."""

    name = "log"

    def __init__(self, settings: LogSettings, env: Env) -> None:
        self.strict = settings.mode == "blocking-strict"
        self._settings = settings
        self._env = env
        self._file: IO[bytes] | None = None
        self._size = 0
        self._lost = 0
        self._queue = Queue(settings.batch, env, self._store) if settings.mode == "batch" else None

    @property
    def lost(self) -> int:
        """How many events were not written."""
        return self._lost + (self._queue.dropped if self._queue is not None else 0)

    def process(self, event: Event) -> bool:
        """Write it, or take it to be written."""
        return self._write([event]) if self._queue is None else self._queue.put(event)

    def take(self, event: Event) -> None:
        """The same, for nobody who waits."""
        self.process(event)

    async def run(self) -> None:
        if self._queue is not None:
            await self._queue.run()

    async def close(self) -> None:
        if self._queue is not None:
            await self._queue.flush()
        if self._file is not None and self._file is not sys.stdout.buffer:
            self._file.close()
        self._file = None

    async def _store(self, events: list[Event]) -> bool:
        return await asyncio.to_thread(self._write, events)

    def _write(self, events: Iterable[Event]) -> bool:
        lines = [
            _legacy(event).encode() if self._settings.legacy else data
            for event, data in truncate.encoded(events, self._settings.truncation)
        ]
        try:
            for line in lines:
                file = self._opened(len(line) + 1)
                file.write(line + b"\n")
                file.flush()
                self._size += len(line) + 1
        except OSError as error:
            self._env.log.error("an audit event was not written: %s", error)
            self._lost += 1
            return False
        return True

    def _opened(self, more: int) -> IO[bytes]:
        """The file with room for so many bytes."""
        path, limit = self._settings.path, self._settings.max_size * MEGABYTE
        if path is None:
            return sys.stdout.buffer
        if self._file is not None and limit and self._size + more > limit:
            self._file.close()
            self._file = None
            self._put_aside(path)
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(handle, "ab")
            self._size = os.fstat(handle).st_size
            if limit and self._size and self._size + more > limit:
                return self._opened(more)
        return self._file

    def _put_aside(self, path: Path) -> None:
        now = self._env.clock.now()
        stamp = datetime.fromtimestamp(now, UTC)
        text = f"{stamp.strftime(_STAMP)}.{stamp.microsecond // 1000:03d}"
        aside = path.with_name(f"{path.stem}-{text}{path.suffix}")
        if path.exists():
            path.rename(aside)
            if self._settings.compress:
                with open(aside, "rb") as source, gzip.open(f"{aside}{_GZ}", "wb") as target:
                    shutil.copyfileobj(source, target)
                aside.unlink()
        names = [item.name for item in path.parent.iterdir()]
        for name in superfluous(
            names, path, now, self._settings.max_backups, self._settings.max_age
        ):
            (path.parent / name).unlink(missing_ok=True)


def superfluous(
    names: Iterable[str], path: Path, now: float, max_backups: int, max_age: int
) -> list[str]:
    """Which of the files in a folder are copies put aside that are too many or too old (days). 0:
    no limit. Pure."""
    copies = []
    for name in names:
        plain = name.removesuffix(_GZ)
        if not plain.startswith(f"{path.stem}-") or not plain.endswith(path.suffix):
            continue
        text = plain[len(path.stem) + 1 : len(plain) - len(path.suffix)].partition(".")[0]
        try:
            moment = datetime.strptime(text, _STAMP).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
        copies.append((moment, name))
    copies.sort(reverse=True)
    kept = copies[:max_backups] if max_backups else copies
    if max_age:
        kept = [item for item in kept if now - item[0] <= max_age * _DAY]
    return [name for moment, name in copies if (moment, name) not in kept]


def _legacy(event: Event) -> str:
    user, other = event.user, event.impersonatedUser
    groups = gotext.quotes(user.get("groups") or ())[1:-1].replace(" ", ",") or "<none>"
    fields = {
        "id": event.auditID,
        "stage": event.stage,
        "ip": event.sourceIPs[0] if event.sourceIPs else "<unknown>",
        "method": event.verb,
        "user": user.get("username") or "<none>",
        "groups": groups if user.get("username") else "<none>",
        "as": "<self>" if other is None else other["username"],
        "asgroups": "<lookup>"
        if other is None or "groups" not in other
        else gotext.quotes(other["groups"])[1:-1].replace(" ", ","),
        "user-agent": event.userAgent,
        "namespace": (event.objectRef or {}).get("namespace") or "<none>",
        "uri": event.requestURI,
    }
    code = "<deferred>" if event.responseStatus is None else str(event.responseStatus.get("code"))
    texts = " ".join(f"{name}={gotext.quote(value)}" for name, value in fields.items())
    return f'{event.requestReceivedTimestamp} AUDIT: {texts} response="{code}"'
