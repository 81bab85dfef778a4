"""Whether others are served beside heavy clients: ``python bench/fairness.py [--upstream DIR]
[--only NAME] [--seconds N] [--write]``.

For each kind of heavy request: eight connections repeat it without a pause, and beside them one
client GETs a small ConfigMap. Out: the time of that GET at the median, the 99th percentile and the
worst, and how many heavy requests were answered meanwhile. Clients are other processes, so that
what they wait for is the server. ``--write`` puts the rows into RESULTS.md.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import load
import results
import subjects
from load import MAPS, SPACE
from results import Row
from run import Start
from subjects import TOKEN, Subject

from trireme.machinery.codec import yaml

HEAVY = 8
SMALL = f"{MAPS}/small"
# Of the GETs of the small object: the pause between two, in seconds.
PAUSE = 0.002
GOAL = 0.05
# A ConfigMap of so many keys is 1.44 MB with its managedFields: etcd takes 1.5 MiB.
KEYS = 60_000
PODS = 5_000
JSON = "application/json"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@dataclass(frozen=True)
class Heavy:
    """One request, repeated. ``expected``: the status of its answers. ``read``: the bytes of each
    answer after which the client has had enough; all of it where None."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    expected: tuple[int, ...] = (200,)
    read: int | None = None


# More than a ConfigMap may hold: both refuse it, once they have looked at all of it.
_REFUSED = (422,)
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_PODS = "/api/v1/pods"
_WATCH = f"{_PODS}?watch=1&timeoutSeconds=5"

# What client ``number`` repeats, by the name of the measure.
MEASURES: dict[str, Callable[[int], Heavy]] = {
    "creates, JSON of 3 MB": lambda _: Heavy("POST", MAPS, _json(_map(KEYS, 36)), {}, _REFUSED),
    "creates, YAML of 3 MB": lambda _: Heavy(
        "POST", MAPS, _yaml(_map(KEYS, 36)), {"Content-Type": "application/yaml"}, _REFUSED
    ),
    "creates, JSON of 1 MB": lambda _: Heavy("POST", MAPS, _json(_map(20_000, 36)), {}, (201,)),
    "creates, YAML of 1 MB": lambda _: Heavy(
        "POST", MAPS, _yaml(_map(20_000, 36)), {"Content-Type": "application/yaml"}, (201,)
    ),
    "label patches of 60,000 keys": lambda number: Heavy(
        "PATCH",
        _large(number),
        b'{"metadata":{"labels":{"at":"COUNTER"}}}',
        {"Content-Type": "application/merge-patch+json"},
    ),
    "updates of 60,000 keys": lambda number: Heavy("PUT", _large(number), _json(_named(number))),
    "applies of 60,000 keys": lambda number: _applied(number, _json),
    "applies of 60,000 keys, YAML": lambda number: _applied(number, _yaml),
    "GETs of 60,000 keys, YAML": lambda number: Heavy(
        "GET", _large(number), headers={"Accept": "application/yaml"}
    ),
    "lists of 5,000 pods, JSON": lambda _: Heavy("GET", _PODS),
    "lists of 5,000 pods, gzip": lambda _: Heavy("GET", _PODS, headers={"Accept-Encoding": "gzip"}),
    "lists of 5,000 pods, Table": lambda _: Heavy("GET", _PODS, headers={"Accept": TABLE}),
    "lists of 5,000 pods, protobuf": lambda _: Heavy("GET", _PODS, headers={"Accept": PROTOBUF}),
    "lists of 5,000 pods, YAML": lambda _: Heavy(
        "GET", _PODS, headers={"Accept": "application/yaml"}
    ),
    "lists of 5,000 pods, a selector": lambda _: Heavy(
        "GET", f"{_PODS}?labelSelector=app%21%3Dy,at%21%3DCOUNTER"
    ),
    "watches of 5,000 pods, JSON": lambda _: Heavy("GET", _WATCH, read=10_000_000),
    "watches of 5,000 pods, Table": lambda _: Heavy(
        "GET", _WATCH, headers={"Accept": TABLE}, read=1_000_000
    ),
}


def _large(number: int) -> str:
    return f"{MAPS}/large-{number}"


def _applied(number: int, encode: Callable[[Any], bytes]) -> Heavy:
    # Objects of its own: with two owners of all fields one would be too large for etcd.
    value = _named(number, "applied")
    path = f"{MAPS}/applied-{number}?fieldManager=bench&force=true"
    return Heavy("PATCH", path, encode(value), _APPLY, (200, 201))


def _named(number: int, name: str = "large") -> dict[str, Any]:
    value = _map(KEYS, 0)
    value["metadata"] = {"name": f"{name}-{number}", "labels": {"at": "COUNTER"}}
    return value


def _map(keys: int, width: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "l-"},
        "data": {f"{number:05}": "x" * width for number in range(keys)},
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _yaml(value: Any) -> bytes:
    return yaml.dump(value).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, help="folder of kube-apiserver and etcd")
    parser.add_argument("--only", help="the measures whose name has this text")
    parser.add_argument("--seconds", type=int, default=5, help="of each load; default 5")
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    options = parser.parse_args()
    names = [name for name in MEASURES if not options.only or options.only in name]
    if not names:
        parser.error(f"no measure has {options.only!r} in its name")
    busy = os.getloadavg()[0]
    starts: dict[str, Start] = {"ours": subjects.trireme}
    if options.upstream:
        starts["upstream"] = functools.partial(subjects.upstream, options.upstream)
    found: dict[str, dict[str, Beside]] = {name: {} for name in ("ours", "upstream")}
    for name, start in starts.items():
        with start() as subject:
            _prepare(subject)
            for measure in ["nothing", *names]:
                found[name][measure] = beside = _measure(subject, measure, options.seconds)
                print(f"{name}: {measure}: {beside}", flush=True)
    rows = []
    for measure, mine in found["ours"].items():
        theirs = found["upstream"].get(measure)
        name = f"small GET beside {measure}"
        late, worst = (theirs.late, theirs.worst) if theirs else (None, None)
        rows.append(Row(f"{name}: 99th percentile", "s", mine.late, GOAL, late))
        rows.append(Row(f"{name}: worst", "s", mine.worst, None, worst))
    results.show(rows, busy, write=options.write)


@dataclass(frozen=True)
class Beside:
    """Seconds that small GETs took, and the heavy requests answered each second beside them."""

    median: float
    late: float
    worst: float
    count: int
    heavy: float

    def __str__(self) -> str:
        times = ", ".join(f"{value * 1e3:.1f}" for value in (self.median, self.late, self.worst))
        return f"{times} ms of {self.count}; {self.heavy:.2f} heavy/s"


def _prepare(subject: Subject) -> None:
    """The namespace, the small and the large objects, and the pods."""
    import asyncio

    asyncio.run(load.prepare(subject))
    connection = _connect(subject)
    small = load.config_map()
    small["metadata"] = {"name": "small"}
    _ask(connection, Heavy("POST", MAPS, _json(small), expected=(201,)))
    for number in range(HEAVY):
        _ask(connection, Heavy("POST", MAPS, _json(_named(number)), expected=(201,)))
    pods = f"/api/v1/namespaces/{SPACE}/pods"
    pod = Heavy("POST", pods, _json(load.pod(3_000)), expected=(201,))
    for _ in range(PODS):
        _ask(connection, pod)


def _measure(subject: Subject, measure: str, seconds: int) -> Beside:
    """Small GETs beside eight clients, which all have begun by then."""
    with _clients(subject, measure) as counted:
        connection = _connect(subject)
        get = Heavy("GET", SMALL)
        _ask(connection, get)
        began, before = time.perf_counter(), counted()
        times: list[float] = []
        while (start := time.perf_counter()) < began + seconds:
            _ask(connection, get)
            times.append(time.perf_counter() - start)
            time.sleep(PAUSE)
        heavy = (counted() - before) / (time.perf_counter() - began)
    times.sort()
    return Beside(
        times[len(times) // 2], times[len(times) * 99 // 100], times[-1], len(times), heavy
    )


@contextmanager
def _clients(subject: Subject, measure: str) -> Iterator[Callable[[], int]]:
    """Eight heavy clients in a process of their own; yields how many answers they have had."""
    if measure == "nothing":
        yield lambda: 0
        return
    spawning = multiprocessing.get_context("spawn")
    count, stop, started = spawning.Value("q"), spawning.Event(), spawning.Event()
    process = spawning.Process(target=_run, args=(subject, measure, count, stop, started))
    process.start()
    try:
        if not started.wait(180):
            raise load.Failed(f"{measure}: no answer to some of the heavy clients")
        yield lambda: int(count.value)
        stop.set()
        process.join(60)
        if process.exitcode:
            raise load.Failed(f"{measure}: the heavy clients failed")
    finally:
        process.kill()


def _run(subject: Subject, measure: str, count: Any, stop: Event, started: Event) -> None:
    failed: list[BaseException] = []
    answered = threading.Barrier(HEAVY, started.set)

    def repeat(number: int) -> None:
        try:
            heavy = MEASURES[measure](number)
            connection = _connect(subject)
            turn = 0
            while not stop.is_set():
                turn += 1
                if not _ask(connection, heavy, f"{number}-{turn}"):
                    connection = _connect(subject)
                with count:
                    count.value += 1
                if turn == 1:
                    answered.wait()
        except BaseException as problem:
            failed.append(problem)
            answered.abort()
            raise

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(HEAVY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise SystemExit(1 if failed else 0)


def _connect(subject: Subject) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(
        "127.0.0.1", subject.port, timeout=120, context=subject.context()
    )


def _ask(connection: http.client.HTTPSConnection, heavy: Heavy, counter: str = "") -> bool:
    """One request, and its answer or the beginning of it; whether the connection goes on."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": JSON} | heavy.headers
    body = heavy.body.replace(b"COUNTER", counter.encode()) or None
    connection.request(heavy.method, heavy.path.replace("COUNTER", counter), body, headers)
    answer = connection.getresponse()
    if answer.status not in heavy.expected:
        said = answer.read(500)
        raise load.Failed(f"{heavy.method} {heavy.path}: {answer.status} {said!r}")
    left = heavy.read
    while left is None or left > 0:
        piece = answer.read1(1 << 20) if answer.chunked else answer.read(1 << 20)
        if not piece:
            return True
        left = None if left is None else left - len(piece)
    connection.close()
    return False


if __name__ == "__main__":
    main()
