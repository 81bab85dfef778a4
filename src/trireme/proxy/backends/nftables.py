"""Rulesets into the kernel, by ``nft -f -``: each change is one atomic transaction.

In: the ruleset that is wanted. What was applied last is remembered, so that only the difference is
sent; after a failure the next try replaces the whole table. Works on the network namespace that the
process is in.
"""

from __future__ import annotations

import asyncio
import shutil

from trireme.proxy import ruleset
from trireme.proxy.model import Endpoint, ServicePort
from trireme.proxy.ruleset import EMPTY, Ruleset


class NftFailed(Exception):
    """nft refused a transaction, or is not there; the text is nft's own."""


class Nftables:
    """One table of one family."""

    def __init__(self, table: str, family: str = "ip") -> None:
        self._table = table
        self._family = family
        self._applied: Ruleset | None = None
        self._conntrack = shutil.which("conntrack") or ""

    async def apply(self, wanted: Ruleset) -> int:
        """Bring the kernel to ``wanted``; returns how many lines that took."""
        if self._applied is None:
            script = ruleset.full(self._family, self._table, wanted)
        else:
            script = ruleset.diff(self._family, self._table, self._applied, wanted)
        if script:
            self._applied = None
            await run(script)
        self._applied = wanted
        return script.count("\n")

    async def remove(self) -> None:
        """Take the table away."""
        at = f"{self._family} {self._table}"
        await run(f"add table {at}\ndelete table {at}\n")
        self._applied = EMPTY

    async def forget_flows(self, gone: list[tuple[ServicePort, Endpoint | None]]) -> None:
        """Drop the kernel's memory of UDP flows to endpoints that are gone.

        Without an endpoint: of every flow to the Service's address, which led nowhere so far.
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
    _, complaint = await process.communicate(script.encode())
    if process.returncode:
        raise NftFailed(complaint.decode(errors="replace").strip()[:2000])
