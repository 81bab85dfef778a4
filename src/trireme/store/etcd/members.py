"""The connections to etcd's members: one call goes to one of those that can be reached.

In: requests. Out: responses, or StoreUnavailable with the reason. A request that changes anything
is sent once: whether it was carried out when its member went away is not known. Reads go to another
member. Rules: https://etcd.io/docs/v3.6/learning/design-client/.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
from grpc import aio

from trireme.store.contract import Refused, StoreUnavailable
from trireme.store.etcd.pb import etcd_pb2 as pb

# Seconds: upstream's keepalive, time to connect, and the longest that a call may take (etcd's own
# limit is 7 s).
KEEPALIVE, KEEPALIVE_TIMEOUT = 30, 10
CONNECT = 5.0
CALL = 10.0

_OPTIONS = [
    ("grpc.keepalive_time_ms", KEEPALIVE * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]
_KV, _LEASE = "/etcdserverpb.KV/", "/etcdserverpb.Lease/"
# Method -> (path, type of the response).
_METHODS: dict[str, tuple[str, Any]] = {
    "Range": (f"{_KV}Range", pb.RangeResponse),
    "Txn": (f"{_KV}Txn", pb.TxnResponse),
    "Compact": (f"{_KV}Compact", pb.CompactionResponse),
    "LeaseGrant": (f"{_LEASE}LeaseGrant", pb.LeaseGrantResponse),
}
# Codes after which another member may do better.
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Tls(NamedTuple):
    """PEM: the authority of the members' certificates, and the client's own certificate and key."""

    authority: bytes
    certificate: bytes = b""
    key: bytes = b""


@dataclass(frozen=True)
class EtcdConfig:
    """``servers``: URLs. ``tls`` is asked anew when a connection is made again, so that
    certificates may be replaced while it runs."""

    servers: tuple[str, ...]
    tls: Callable[[], Tls | None] = lambda: None
    # Seconds that one lease serves further keys.
    lease_reuse: int = 60


class EtcdError(Refused):
    """etcd's answer is an error, as Go's clients show it. ``detail`` is its own text."""

    def __init__(self, error: aio.AioRpcError) -> None:
        self.detail = error.details() or ""
        self.code = error.code()
        words = self.code.name.split("_")
        code = "".join(word.capitalize() for word in words)
        super().__init__(f"rpc error: code = {code} desc = {self.detail}")


class _Member:
    def __init__(self, url: str, tls: Tls | None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        self.url, self.tls = url, tls
        if parts.scheme == "https":
            known = tls or Tls(b"")
            credentials = grpc.ssl_channel_credentials(
                known.authority or None, known.key or None, known.certificate or None
            )
            self.channel = aio.secure_channel(parts.netloc, credentials, options=_OPTIONS)
        else:
            self.channel = aio.insecure_channel(parts.netloc, options=_OPTIONS)
        self.calls = {
            name: self.channel.unary_unary(
                path,
                request_serializer=_serialize,
                response_deserializer=response.FromString,
            )
            for name, (path, response) in _METHODS.items()
        }
        self.watch = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=_serialize,
            response_deserializer=pb.WatchResponse.FromString,
        )

    @property
    def ready(self) -> bool:
        return self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


class Members:
    """Made on the loop that uses it; ``close`` ends the connections."""

    def __init__(self, config: EtcdConfig, log: logging.Logger) -> None:
        self._config = config
        self._log = log
        self._members = [_Member(url, config.tls()) for url in config.servers]
        self._current = 0

    async def call(self, method: str, request: Any, *, timeout: float = CALL) -> Any:
        """Send a request once. StoreUnavailable; ``EtcdError`` where etcd answered."""
        member = self._members[self._current]
        if not member.ready:
            member = await self._reachable(min(timeout, CONNECT))
        try:
            return await member.calls[method](request, timeout=timeout)
        except aio.AioRpcError as error:
            if error.code() in _GONE:
                self.leave(member)
            raise EtcdError(error) from None

    async def read(self, method: str, request: Any, *, timeout: float = CALL) -> Any:
        """Send a request that changes nothing; to another member where one is gone."""
        for _ in self._members[1:]:
            try:
                return await self.call(method, request, timeout=timeout)
            except EtcdError as refused:
                if refused.code is not grpc.StatusCode.UNAVAILABLE:
                    raise
        return await self.call(method, request, timeout=timeout)

    async def watch(self) -> tuple[_Member, Any]:
        """A watch stream, and the member that serves it. StoreUnavailable."""
        member = self._members[self._current]
        if not member.ready:
            member = await self._reachable(CONNECT)
        # A member without a leader ends the stream: it would miss what the others do.
        return member, member.watch(metadata=(("hasleader", "true"),))

    def leave(self, member: _Member) -> None:
        """Use another member from now on; a new connection reads the certificates anew."""
        at = self._members.index(member) if member in self._members else self._current
        if at == self._current:
            self._current = (at + 1) % len(self._members)
        tls = self._config.tls()
        if member.tls != tls:
            self._renew(at, tls)

    async def _reachable(self, timeout: float) -> _Member:
        """A connected member; waits until there is one."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            for step in range(len(self._members)):
                at = (self._current + step) % len(self._members)
                if self._members[at].ready:
                    self._current = at
                    return self._members[at]
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                servers = ", ".join(member.url for member in self._members)
                raise StoreUnavailable(f"etcd cannot be reached: {servers}")
            self._renew_all()
            await self._changed(left)

    async def _changed(self, timeout: float) -> None:
        """Wait until the state of a connection changes."""
        waits = {
            asyncio.ensure_future(
                member.channel.wait_for_state_change(member.channel.get_state(True))
            )
            for member in self._members
        }
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _renew_all(self) -> None:
        tls = self._config.tls()
        for at, member in enumerate(self._members):
            if member.tls != tls:
                self._renew(at, tls)

    def _renew(self, at: int, tls: Tls | None) -> None:
        old = self._members[at]
        self._log.info("%s: the certificates have changed", old.url)
        self._members[at] = _Member(old.url, tls)
        asyncio.get_running_loop().create_task(old.channel.close(grace=CALL))

    async def close(self) -> None:
        for member in self._members:
            await member.channel.close()


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
