"""The log options and the container of a request.

In: a pod's status and the query. Out: ``Options``, a container id, or ``NoLogs`` with the text that
``kubectl logs`` shows. Called by server/app. Pure. Rules: the kubelet's container log checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.api.core import v1 as core
from trireme.kubelet import nanotime
from trireme.kubelet.logs.read import STREAMS, Options


class NoLogs(ValueError):
    """There is no such log; the text has the reason."""


def options(query: Mapping[str, str], now: float) -> Options:
    """Raises ``NoLogs`` for an invalid query."""
    try:
        tail = _number(query, "tailLines")
        limit = _number(query, "limitBytes")
        seconds = _number(query, "sinceSeconds")
        since = int((now - seconds) * 1e9) if seconds is not None else None
        if query.get("sinceTime"):
            since = nanotime.parse_nanos(query["sinceTime"])
    except ValueError as problem:
        raise NoLogs(f"unable to decode query: {problem}") from problem
    if limit is not None and limit < 1:
        raise NoLogs("limitBytes: Invalid value: must be greater than 0")
    if tail is not None and tail < 0:
        raise NoLogs("tailLines: Invalid value: must be greater than or equal to 0")
    stream = query.get("stream", "")
    if stream not in STREAMS:
        raise NoLogs(f'stream: Unsupported value: "{stream}"')
    return Options(
        follow=_true(query, "follow"),
        timestamps=_true(query, "timestamps"),
        tail_lines=tail,
        limit_bytes=limit,
        since=since,
        stream=stream,
    )


def container_id(pod: core.Pod, status: core.PodStatus, name: str, *, previous: bool) -> str:
    """The runtime's id of the container whose log is requested. Raises ``NoLogs``."""
    found = next(
        (
            s
            for s in (
                *status.containerStatuses,
                *status.initContainerStatuses,
                *status.ephemeralContainerStatuses,
            )
            if s.name == name
        ),
        None,
    )
    where = f'container "{name}" in pod "{pod.metadata.name}"'
    if found is None:
        raise NoLogs(f"{where} is not available")
    ended = found.lastState.terminated
    if previous:
        if ended is None or not ended.containerID:
            raise NoLogs(f"previous terminated {where} not found")
        return _id(ended.containerID)
    if found.state.running is not None:
        return _id(found.containerID)
    if found.state.terminated is not None:
        if found.state.terminated.containerID:
            return _id(found.state.terminated.containerID)
        if ended is not None and ended.containerID:
            return _id(ended.containerID)
        raise NoLogs(f"{where} is terminated")
    if ended is not None:
        if not ended.containerID:
            raise NoLogs(f"{where} is terminated")
        return _id(ended.containerID)
    waiting = found.state.waiting
    reason = waiting.reason if waiting is not None else ""
    if reason == "ErrImagePull":
        raise NoLogs(f"{where} is waiting to start: image can't be pulled")
    if reason == "ImagePullBackOff":
        raise NoLogs(f"{where} is waiting to start: trying and failing to pull image")
    if waiting is not None:
        raise NoLogs(f"{where} is waiting to start: {reason}")
    raise NoLogs(f"{where} is waiting to start - no logs yet")


def _id(text: str) -> str:
    return text.partition("://")[2]


def _true(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("true", "1", "t")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    return int(text) if text else None
