"""Writes to objects that are there: updates, patches, applies, deletions.

In: a ``Subject`` with the namespace of ``load``. Out: writes per second. Every write changes its
object: a counter goes into an annotation or the data, and the objects are taken in turn.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import load
from subjects import Subject

# So many that two writes in flight hardly ever meet at one object.
OBJECTS = 500
COUNTER = "COUNTER"
NAME = "NAME"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
PATHS = {"ConfigMap": load.MAPS, "Pod": load.PODS}


def measure(subject: Subject, seconds: int) -> dict[str, float]:
    """All of them, for ConfigMaps and Pods, on 16 connections and on one."""
    found: dict[str, float] = {}
    for kind, path in PATHS.items():
        bodies = asyncio.run(_seed(subject, kind))
        for verb, (method, media, body) in bodies.items():
            for many in (16, 1):
                label = f"{verb} {kind}, durable, {many} connection{'s' if many > 1 else ''}"
                target = f"{path}/o-"
                if verb == "apply":
                    query = "?fieldManager=bench&force=true"
                else:
                    query = ""
                found[label] = load.writes(
                    subject, method, target, query, media, json.dumps(body), OBJECTS, many, seconds
                )
        for many in (16, 1):
            label = f"delete {kind}, durable, {many} connection{'s' if many > 1 else ''}"
            found[label] = asyncio.run(_deletions(subject, kind, path, many))
    return found


def _manifest(kind: str, name: str) -> dict[str, Any]:
    made = load.pod() if kind == "Pod" else load.config_map()
    made["metadata"] = {"name": name, "annotations": {"at": COUNTER}}
    if kind == "Pod":
        made["spec"]["automountServiceAccountToken"] = False
    return made


async def _seed(subject: Subject, kind: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Make the objects; the body of each kind of write, with marks for name and counter."""
    path = PATHS[kind]
    async with load.session(subject) as session:
        for number in range(OBJECTS):
            await load.make(session, path, _manifest(kind, f"o-{number}"))
        async with session.get(f"{path}/o-0") as answer:
            stored = await answer.json()
    # What the server filled in has to come back with an update of a pod.
    whole = {**stored, "metadata": {"name": NAME, "annotations": {"at": COUNTER}}}
    whole.pop("status", None)
    part = {"metadata": {"annotations": {"at": COUNTER}}}
    return {
        "update": ("PUT", "application/json", whole),
        "patch": ("PATCH", MERGE, part),
        "apply": ("PATCH", APPLY, _manifest(kind, NAME)),
    }


async def _deletions(subject: Subject, kind: str, path: str, connections: int) -> float:
    """Deletions per second of ``OBJECTS`` objects made for it."""
    async with load.session(subject) as session:
        names = [f"d{connections}-{number}" for number in range(OBJECTS)]
        for name in names:
            await load.make(session, path, _manifest(kind, name))
        left = iter(names)

        async def some() -> None:
            for name in left:
                async with session.delete(f"{path}/{name}") as answer:
                    await answer.read()
                    if answer.status >= 300:
                        raise load.Failed(f"DELETE {path}/{name}: {answer.status}")

        began = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(connections)))
        return OBJECTS / (time.perf_counter() - began)
