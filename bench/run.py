"""The API server's figures: ``python bench/run.py [--upstream DIR] [--only NAME] [--write]``.

Starts our API server (SQLite, TLS, a bearer token) as a process of its own and drives it from
others; with ``--upstream`` the same for upstream's kube-apiserver and etcd, and the ratio. Each
group of measures gets a fresh server. ``--write`` puts the rows into RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import changes
import fanout
import load
import results
import subjects
from results import Row
from subjects import Subject

Start = Callable[[], AbstractContextManager[Subject]]
Figures = dict[str, float]

# Measure → unit, goal, whether more is better. The order is that of the table.
MEASURES: dict[str, tuple[str, float | None, bool]] = {
    "API server and store ready, cold": ("s", 0.7, False),
    "memory idle, API server and store (PSS)": ("MB", None, False),
    "create ConfigMap, durable, 16 connections": ("/s", 3000, True),
    "create ConfigMap, durable, 1 connection": ("/s", None, True),
    "create Pod, durable, 16 connections": ("/s", 2000, True),
    "create Pod, durable, 1 connection": ("/s", 1000, True),
    **{
        f"{verb} {kind}, durable, {many}": ("/s", None, True)
        for kind in ("ConfigMap", "Pod")
        for verb in ("update", "patch", "apply", "delete")
        for many in ("16 connections", "1 connection")
    },
    "GET Pod, 16 connections": ("/s", 8000, True),
    "LIST 9,664 pods, 47 MB": ("s", 0.12, False),
    "memory after that (PSS)": ("MB", 300, False),
    "LIST 10 of them by label": ("s", None, False),
    "LIST 10 of them by field": ("s", None, False),
    "LIST all of them, 500 at a time": ("s", None, False),
    "LIST 500 ConfigMaps": ("s", None, False),
    "install 1,000 CRDs, one after the other": ("s", None, False),
    "memory with 1,000 CRDs (PSS)": ("MB", None, False),
    "1 write to 1,000 watchers, median": ("s", None, False),
    "1 write to 1,000 watchers, last": ("s", None, False),
    "1,000 writes to 100 watchers": ("events/s", None, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, help="folder of kube-apiserver and etcd")
    parser.add_argument("--only", choices=sorted(GROUPS), help="one group of measures")
    parser.add_argument("--seconds", type=int, default=5, help="of each load; default 5")
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    options = parser.parse_args()
    groups = [options.only] if options.only else list(GROUPS)
    busy = os.getloadavg()[0]
    starts: dict[str, Start] = {"ours": subjects.trireme}
    if options.upstream:
        starts["upstream"] = functools.partial(subjects.upstream, options.upstream)
    # In turn, so that whatever else the machine does meets both alike.
    found: dict[str, Figures] = {name: {} for name in ("ours", "upstream")}
    for group in groups:
        for name, start in starts.items():
            found[name] |= _measure(name, start, group, options.seconds)
    ours, theirs = found["ours"], found["upstream"]
    rows = [
        Row(name, unit, ours[name], goal, theirs.get(name), higher)
        for name, (unit, goal, higher) in MEASURES.items()
        if name in ours
    ]
    results.show(rows, busy, write=options.write)


def _measure(name: str, start: Start, group: str, seconds: int) -> Figures:
    with start() as subject:
        found = GROUPS[group](subject, seconds)
    for measure, value in found.items():
        print(f"{name}: {measure}: {value:,.4g} {MEASURES[measure][0]}", flush=True)
    return found


def _start(subject: Subject, _seconds: int) -> Figures:
    # A server that has just started still settles; what it holds after that is what it costs.
    time.sleep(5)
    return {
        "API server and store ready, cold": subject.ready,
        "memory idle, API server and store (PSS)": subject.pss(),
    }


def _create(subject: Subject, seconds: int) -> Figures:
    asyncio.run(load.prepare(subject))
    return {
        f"create {kind}, durable, {many} connection{'s' if many > 1 else ''}": load.creates(
            subject, plural, many, seconds
        )
        for kind, plural in (("ConfigMap", "configmaps"), ("Pod", "pods"))
        for many in (16, 1)
    }


def _get(subject: Subject, seconds: int) -> Figures:
    name = asyncio.run(load.prepare(subject))
    return {"GET Pod, 16 connections": load.gets(subject, name, 16, seconds)}


def _list(subject: Subject, seconds: int) -> Figures:
    asyncio.run(load.prepare(subject))
    size = asyncio.run(load.seed(subject))
    print(f"a list of {size:.1f} MB")
    return {
        "LIST 9,664 pods, 47 MB": load.lists(subject, "/api/v1/pods", seconds),
        "memory after that (PSS)": subject.pss(),
        "LIST 10 of them by label": load.lists(
            subject, "/api/v1/pods?labelSelector=few%3Dyes", seconds
        ),
        "LIST 10 of them by field": load.lists(
            subject, "/api/v1/pods?fieldSelector=spec.nodeName%3Dfew", seconds
        ),
        "LIST all of them, 500 at a time": asyncio.run(load.chunks(subject, 500)),
    }


def _change(subject: Subject, seconds: int) -> Figures:
    asyncio.run(load.prepare(subject))
    found = changes.measure(subject, seconds)
    return {**found, "LIST 500 ConfigMaps": load.lists(subject, load.MAPS, seconds)}


def _crds(subject: Subject, _seconds: int) -> Figures:
    took = asyncio.run(load.definitions(subject, 1_000))
    return {
        "install 1,000 CRDs, one after the other": took,
        "memory with 1,000 CRDs (PSS)": subject.pss(),
    }


def _watch(subject: Subject, _seconds: int) -> Figures:
    asyncio.run(load.prepare(subject))
    median, last = asyncio.run(fanout.one_write(subject, 1_000))
    rate = asyncio.run(fanout.many_writes(subject, 1_000, 100))
    return {
        "1 write to 1,000 watchers, median": median,
        "1 write to 1,000 watchers, last": last,
        "1,000 writes to 100 watchers": rate,
    }


GROUPS: dict[str, Callable[[Subject, int], Figures]] = {
    "start": _start,
    "create": _create,
    "change": _change,
    "get": _get,
    "list": _list,
    "watch": _watch,
    "crds": _crds,
}


if __name__ == "__main__":
    main()
