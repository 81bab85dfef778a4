"""What one admission webhook on the same machine adds to a write.

Run: ``python bench/webhook.py [--upstream DIR] [--write] [count]``. ConfigMaps are created one
after the other on one connection, every second one with the label that the webhook selects: one
that validates, then one that changes the object. The webhook is a process of its own that answers
as fast as Python can; its time counts for both. The rows are the medians with the webhook less
those without.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http.client
import json
import multiprocessing
import os
import re
import ssl
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import results
import subjects
from results import Row
from subjects import Subject

from trireme.kit import pki

HOOKS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
LABEL = {"hook": "x"}
_UID = re.compile(rb'"uid":"([^"]*)"').search
_PATCH = base64.b64encode(b'[{"op":"add","path":"/data/b","value":"2"}]')


class _Webhook(asyncio.Protocol):
    """Answers requests of HTTP/1.1 whose body has a length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not end or length is None or len(body) < int(length[1]):
            return
        self._data = b""
        found = _UID(body)
        patch = b""
        if b" /mutate" in head:
            patch = b',"patchType":"JSONPatch","patch":"%b"' % _PATCH
        uid = b"" if found is None else found[1]
        answer = (
            b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":'
            b'{"uid":"%b","allowed":true%b}}' % (uid, patch)
        )
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(start % len(answer) + answer)


def _serve(folder: str, port: int) -> None:
    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(Path(folder) / "hook.pem")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Webhook, "127.0.0.1", port, ssl=context)
        await server.serve_forever()

    import uvloop

    uvloop.run(main())


@contextmanager
def webhook() -> Iterator[tuple[int, bytes]]:
    """Its port and its authority."""
    now = time.time()
    authority = pki.new_authority("hooks", now)
    pair = pki.issue(authority, "hook", now, names=("127.0.0.1",), server=True)
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as folder:
        (Path(folder) / "hook.pem").write_bytes(pair.key + pair.certificate)
        port = subjects.free_port()
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, port))
        process.start()
        try:
            yield port, authority.certificate
        finally:
            process.kill()
            process.join()


def measured(subject: Subject, port: int, authority: bytes, count: int) -> dict[str, float]:
    """Seconds that each sort of webhook adds to a create."""
    line = http.client.HTTPSConnection("127.0.0.1", subject.port, context=subject.context())
    headers = {
        "Authorization": f"Bearer {subjects.TOKEN}",
        "Content-Type": "application/json",
    }

    def ask(method: str, path: str, body: Any = None) -> int:
        line.request(method, path, None if body is None else json.dumps(body), headers)
        answer = line.getresponse()
        text = answer.read()
        assert answer.status < 500, text
        return answer.status

    def create(name: str, labels: dict[str, str]) -> float:
        begun = time.perf_counter()
        body = {"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}
        status = ask("POST", MAPS, body)
        assert status == 201, status
        return time.perf_counter() - begun

    def added(what: str) -> float:
        """One with the webhook after one without: what else the machine does counts for both."""
        alone: list[float] = []
        asked: list[float] = []
        for i in range(count + count // 5):
            alone.append(create(f"{what}-alone-{i}", {"other": "x"}))
            asked.append(create(f"{what}-asked-{i}", LABEL))
        skipped = count // 5
        return statistics.median(asked[skipped:]) - statistics.median(alone[skipped:])

    while ask("GET", "/api/v1/namespaces/default") != 200:
        time.sleep(0.1)
    found: dict[str, float] = {}
    for kind, path in (("validating", "validate"), ("mutating", "mutate")):
        url = f"https://127.0.0.1:{port}/{path}"
        bundle = base64.b64encode(authority).decode()
        rule = {
            "operations": ["CREATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["configmaps"],
        }
        hook = {
            "name": "bench.example.com",
            "clientConfig": {"url": url, "caBundle": bundle},
            "rules": [rule],
            "objectSelector": {"matchLabels": LABEL},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        where = f"{HOOKS}/{kind}webhookconfigurations"
        assert ask("POST", where, {"metadata": {"name": "bench"}, "webhooks": [hook]}) == 201
        # Upstream's informers are told of it a little later.
        time.sleep(2)
        found[kind] = added(kind)
        assert ask("DELETE", f"{where}/bench") == 200
        time.sleep(2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    args = parser.parse_args()
    busy = os.getloadavg()[0]
    with webhook() as (port, authority):
        with subjects.trireme() as ours:
            mine = measured(ours, port, authority, args.count)
        theirs: dict[str, float] = {}
        if args.upstream is not None:
            with subjects.upstream(args.upstream) as other:
                theirs = measured(other, port, authority, args.count)
    rows = [
        Row(
            f"one {kind} webhook: added to a create",
            "s",
            value,
            upstream=theirs.get(kind),
            goal=None if kind not in theirs else theirs[kind] * 0.7,
        )
        for kind, value in mine.items()
    ]
    results.show(rows, busy, write=args.write)


if __name__ == "__main__":
    main()
