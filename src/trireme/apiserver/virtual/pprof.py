"""/debug/pprof: what the process does, in the form that Python can give it.

``goroutine`` has the tasks and threads with their stacks. ``profile?seconds=N`` samples the stack
of the event loop's thread, and answers with folded stacks, which flame graph tools take: a line
each, frames with ``;`` between them and how often. ``heap`` has what tracemalloc knows, where it is
on (PYTHONTRACEMALLOC=1). All is bounded, one profile is taken at a time. Off by --profiling=false.
Upstream: apiserver ``server/routes/debugging.go``.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import tracemalloc
from collections import Counter
from types import FrameType
from typing import Final

from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.machinery import errors

_ROOT: Final = "/debug/pprof"
# The most tasks, frames of a stack, and lines of a heap that are shown.
_TASKS, _FRAMES, _LINES = 2_000, 64, 200
# Seconds: between samples; a profile's length where none is asked for, and at most: less than a
# request has.
_EVERY, _SECONDS, _LONGEST = 0.01, 30.0, 50.0
_INDEX: Final = """<html><head><title>/debug/pprof/</title></head><body>
<p><a href="goroutine">goroutine</a>: tasks and threads</p>
<p><a href="heap">heap</a>: memory by line, where tracemalloc is on</p>
<p><a href="profile">profile</a>: folded stacks of the event loop, ?seconds=30</p>
<p><a href="cmdline">cmdline</a></p>
</body></html>
"""


async def answer(context: ServerContext, request: Request) -> AnyReply:
    """The index, or a profile."""
    if not context.config.profiling:
        return reply.no_page()
    match request.path.removeprefix(_ROOT).strip("/"):
        case "":
            return Reply(200, _INDEX.encode(), "text/html; charset=utf-8")
        case "goroutine":
            return _text(goroutines())
        case "heap":
            return _text(await asyncio.to_thread(heap))
        case "profile":
            return await _profile(request)
        case "cmdline":
            return _text("\x00".join(sys.argv))
    return reply.no_page()


def goroutines() -> str:
    """Tasks, which are this program's goroutines, and threads."""
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    lines = [f"goroutine profile: total {len(tasks)}"]
    for task in tasks[:_TASKS]:
        lines.append(f"task {task.get_name()}")
        lines += map(_line, task.get_stack(limit=_FRAMES))
    if len(tasks) > _TASKS:
        lines.append(f"and {len(tasks) - _TASKS} more tasks")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        lines.append(f"thread {names.get(ident, ident)}")
        lines += map(_line, _stack(frame))
    return "\n".join(lines)


def heap() -> str:
    """The lines that hold most memory."""
    if not tracemalloc.is_tracing():
        return "tracemalloc is off: start the process with PYTHONTRACEMALLOC=1"
    statistics = tracemalloc.take_snapshot().statistics("lineno")
    total = sum(one.size for one in statistics)
    lines = [f"heap profile: {total} bytes"]
    lines += [f"{one.size} bytes in {one.count}: {one.traceback}" for one in statistics[:_LINES]]
    return "\n".join(lines)


_busy = threading.Lock()


async def _profile(request: Request) -> Reply:
    try:
        seconds = float(request.param("seconds") or _SECONDS)
    except ValueError:
        raise errors.bad_request("seconds must be a number") from None
    if not 0 < seconds <= _LONGEST:
        raise errors.bad_request(f"seconds must be above 0 and at most {_LONGEST:g}")
    # A process has one profile at a time, however many servers it has.
    if not _busy.acquire(blocking=False):
        return Reply(503, b"a profile is being taken\n", "text/plain; charset=utf-8")
    try:
        folded = await asyncio.to_thread(sample, threading.get_ident(), seconds)
    finally:
        _busy.release()
    return _text("\n".join(f"{stack} {count}" for stack, count in folded.most_common()))


def sample(thread: int, seconds: float) -> Counter[str]:
    """How often a thread was seen in which stack; takes so many seconds."""
    found: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame = sys._current_frames().get(thread)
        if frame is None:
            break
        found[";".join(_name(one) for one in reversed(_stack(frame)))] += 1
        time.sleep(_EVERY)
    return found


def _stack(frame: FrameType | None) -> list[FrameType]:
    """A frame and those that called it, innermost first."""
    found: list[FrameType] = []
    while frame is not None and len(found) < _FRAMES:
        found.append(frame)
        frame = frame.f_back
    return found


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _line(frame: FrameType) -> str:
    return f"#\t{_name(frame)}\t{frame.f_code.co_filename}:{frame.f_lineno}"


def _text(text: str) -> Reply:
    return Reply(200, f"{text}\n".encode(), "text/plain; charset=utf-8")


PPROF = Route(_ROOT, answer, prefix=True)
