"""Our API server on etcd beside upstream's: ``python bench/etcd.py --upstream DIR``.

One etcd serves both, each under a prefix of its own, one after the other. And our server alone, on
SQLite, with encryption at rest: ``--encryption``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import functools
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import fanout
import load
import results
import subjects
from results import Row
from subjects import Subject

Figures = dict[str, float]
SECRETS = f"/api/v1/namespaces/{load.SPACE}/secrets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, help="folder of kube-apiserver and etcd")
    parser.add_argument("--encryption", action="store_true", help="measure that instead")
    parser.add_argument("--seconds", type=int, default=5, help="of each load; default 5")
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    if options.encryption:
        rows = _encryption(options.seconds)
    elif options.upstream:
        rows = _etcd(options.upstream, options.seconds)
    else:
        raise SystemExit("--upstream or --encryption")
    results.show(rows, busy, write=options.write)


def _etcd(binaries: Path, seconds: int) -> list[Row]:
    with ExitStack() as undo:
        url = undo.enter_context(subjects.etcd(binaries))
        ours = functools.partial(subjects.trireme, f"etcd-servers={url}", "etcd-prefix=/ours")
        theirs = functools.partial(subjects.upstream, binaries, "--etcd-prefix=/theirs", etcd=url)
        found = [_served(start, seconds) for start in (ours, theirs)]
    units = {
        name: ("/s", True) if name.endswith(("connections", "connection")) else ("s", False)
        for name in found[0]
    }
    return [
        Row(f"on etcd: {name}", unit, found[0][name], None, found[1][name], higher)
        for name, (unit, higher) in units.items()
    ]


def _served(start: Callable[[], AbstractContextManager[Subject]], seconds: int) -> Figures:
    with start() as subject:
        name = asyncio.run(load.prepare(subject))
        found = {
            "create ConfigMap, 16 connections": load.creates(subject, "configmaps", 16, seconds),
            "create ConfigMap, 1 connection": load.creates(subject, "configmaps", 1, seconds),
            "create Pod, 16 connections": load.creates(subject, "pods", 16, seconds),
            "GET Pod, 16 connections": load.gets(subject, name, 16, seconds),
            "GET Pod, 1 connection": load.gets(subject, name, 1, seconds),
        }
        found["LIST 500 ConfigMaps"] = load.lists(subject, f"{load.MAPS}?limit=500", seconds)
        median, last = asyncio.run(fanout.one_write(subject, 1000))
        return found | {
            "1 write to 1,000 watchers, median": median,
            "1 write to 1,000 watchers, last": last,
        }


def _encryption(seconds: int) -> list[Row]:
    key = {"keys": [{"name": "k", "secret": base64.b64encode(os.urandom(32)).decode()}]}
    plain = 0.0
    rows = []
    for name in ("none", "aescbc", "aesgcm", "secretbox"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "encryption.json")
            rule = {"resources": ["secrets"], "providers": [{name: key}]}
            content = {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "EncryptionConfiguration",
                "resources": [rule],
            }
            path.write_text(json.dumps(content))
            flags = () if name == "none" else (f"encryption-provider-config={path}",)
            with subjects.trireme(*flags) as subject:
                asyncio.run(load.prepare(subject))
                rate = load.posts(subject, SECRETS, _secret(), 16, seconds)
        plain = plain or rate
        print(f"{name}: {rate:,.0f}/s, {rate / plain:.2f} of plain", flush=True)
        rows.append(
            Row(f"create Secret, 16 connections, encrypted: {name}", "/s", rate, None, None, True)
        )
    return rows


def _secret() -> dict[str, object]:
    data = {"k": base64.b64encode(b"v" * 400).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"generateName": "s-"},
        "data": data,
    }


if __name__ == "__main__":
    main()
