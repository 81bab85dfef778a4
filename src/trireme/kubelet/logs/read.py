"""Read a container's log for ``kubectl logs``.

In: a log file and ``Options``. Out: chunks of text as they are written. Called by server/app.
Rules: reference "Logs". The file may be rotated while it is followed: the open file is read to its
end before the new one is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from trireme.kit.clock import Clock
from trireme.kubelet import nanotime
from trireme.kubelet.host.contract import Reading
from trireme.kubelet.logs import parse
from trireme.kubelet.logs.files import LogFiles

BLOCK = 64 * 1024
POLL_SECONDS = 0.1
# Polls of the file for each call of the runtime, which costs more.
ASK_RUNNING_EVERY = 10
STREAMS = {
    "": ("stdout", "stderr"),
    "All": ("stdout", "stderr"),
    "Stdout": ("stdout",),
    "Stderr": ("stderr",),
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``since`` in nanoseconds since the epoch; ``None`` means no limit."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: int | None = None
    stream: str = ""


async def stream(
    logs: LogFiles,
    path: str,
    file: Reading,
    options: Options,
    clock: Clock,
    running: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """The text of ``file``, which is open at ``path`` and is closed here.

    With ``follow``, until ``running`` returns False.
    """
    writer, ended = _Writer(options), False
    try:
        if options.tail_lines is not None:
            file.seek(tail_start(file, options.tail_lines))
        rest, idle = b"", 0
        while True:
            data = file.read(BLOCK)
            if data:
                idle = 0
                records = (rest + data).split(b"\n")
                rest = records.pop()
                text = writer.take(records)
                if text:
                    yield text
                if writer.full:
                    return
                # A container may write as fast as this reads: yield to other tasks.
                await clock.sleep(0)
                continue
            replaced = _replacement(logs, path, file) if options.follow else None
            if replaced is not None:
                file.close()
                file = replaced
                continue
            if not options.follow or ended:
                break
            idle += 1
            if idle % ASK_RUNNING_EVERY == 1:
                # Read what was written between the last read and the container's end.
                ended = not await running()
            if not ended:
                await clock.sleep(POLL_SECONDS)
        if rest:
            yield writer.take([rest])
    finally:
        file.close()


def tail_start(file: Reading, lines: int) -> int:
    """The offset at which the last ``lines`` records begin."""
    end = file.size()
    if lines <= 0:
        return end
    found, position = 0, end
    while position > 0:
        begin = max(0, position - BLOCK)
        file.seek(begin)
        block = file.read(position - begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # The line feed at the end of the file does not begin a record.
            if begin + at + 1 == end:
                continue
            found += 1
            if found == lines:
                return begin + at + 1
        position = begin
    return 0


class _Writer:
    """Formats records by the options, and applies the limits."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._streams = STREAMS[options.stream]
        self._left = options.limit_bytes
        self._fresh = True

    @property
    def full(self) -> bool:
        return self._left is not None and self._left <= 0

    def take(self, records: list[bytes]) -> bytes:
        out = bytearray()
        for record in records:
            if not record:
                continue
            try:
                line = parse.parse(record)
            except (ValueError, UnicodeDecodeError):
                continue
            if self._options.since is not None and line.nanos < self._options.since:
                continue
            if line.stream not in self._streams:
                continue
            if self._options.timestamps and self._fresh:
                out += nanotime.fixed_nanos(line.nanos).encode() + b" "
            out += line.text
            self._fresh = not line.partial
        if self._left is not None:
            out = out[: max(self._left, 0)]
            self._left -= len(out)
        return bytes(out)


def _replacement(logs: LogFiles, path: str, file: Reading) -> Reading | None:
    """The new file at ``path`` if ``file`` has been rotated away."""
    info = logs.info(path)
    if info is None or info.inode == file.inode:
        return None
    return logs.open(path)
