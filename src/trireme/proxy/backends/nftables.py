"""Applies rulesets by ``nft -f -``: each change is one atomic transaction.

In: the desired ruleset. The last applied one is kept, so that only the difference is sent; after a
failure the next call replaces the whole table. Acts in the network namespace of the process.
"""

from __future__ import annotations

import asyncio
import shutil

from trireme.proxy import ruleset
from trireme.proxy.model import Endpoint, ServicePort
from trireme.proxy.ruleset import EMPTY, Ruleset


class NftFailed(Exception):
    """nft refused a transaction, or is not installed; the text is nft's."""


class Nftables:
    """One table of one family."""

    def __init__(self, table: str, family: str = "ip") -> None:
        self._table = table
        self._family = family
        self._applied: Ruleset | None = None
        self._conntrack = shutil.which("conntrack") or ""

    async def apply(self, desired: Ruleset) -> int:
        """Bring the kernel to ``desired``; returns how many lines that took."""
        if self._applied is None:
            script = ruleset.full(self._family, self._table, desired)
        else:
            script = ruleset.diff(self._family, self._table, self._applied, desired)
        if script:
            self._applied = None
            await run(script)
        self._applied = desired
        return script.count("\n")

    async def remove(self) -> None:
        """Delete the table."""
        at = f"{self._family} {self._table}"
        await run(f"add table {at}\ndelete table {at}\n")
        self._applied = EMPTY

    async def forget_flows(self, gone: list[tuple[ServicePort, Endpoint | None]]) -> None:
        """Delete conntrack entries of UDP flows to endpoints that are gone.

        Without an endpoint: of all flows to the Service's address, which had no endpoint.
        """
        if not self._conntrack:
            return
        for port, endpoint in gone:
            arguments = ["-D", "-p", port.protocol, "--orig-dst", port.cluster_ip]
            arguments += ["--orig-port-dst", str(port.port)]
            if endpoint is not None:
                arguments += ["--reply-src", endpoint.address]
            process = await asyncio.create_subprocess_exec(
                self._conntrack,
                *arguments,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            # It exits with 1 when there was no such flow.
            await process.wait()


async def run(script: str) -> None:
    """One transaction. Raises NftFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            "nft",
            "-f",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise NftFailed("nft is not installed: apt-get install nftables") from None
    _, error_output = await process.communicate(script.encode())
    if process.returncode:
        raise NftFailed(error_output.decode(errors="replace").strip()[:2000])
