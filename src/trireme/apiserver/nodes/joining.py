"""Two connections made one."""

from __future__ import annotations

from trireme.apiserver.nodes.contract import RawStream
from trireme.kit import tasks


async def join(one: RawStream, other: RawStream) -> None:
    """Copy both ways until either end is done; then close both."""

    async def copy(source: RawStream, target: RawStream) -> None:
        while data := await source.read():
            await target.write(data)

    try:
        await tasks.until_first(copy(one, other), copy(other, one))
    finally:
        one.close()
        other.close()
