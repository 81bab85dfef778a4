"""/healthz, /livez, /readyz with their checks, and /version.

https://kubernetes.io/docs/reference/using-api/health-checks/.
"""

from __future__ import annotations

import asyncio
import platform

from trireme.apiserver.config import VERSION
from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.machinery.codec import json
from trireme.store import contract as stores


async def check(context: ServerContext, request: Request) -> AnyReply:
    """``ok``, or what is wrong with 500; ``?verbose`` lists the checks, ``?exclude=`` leaves out.

    A single check is below: /readyz/store.
    """
    root, _, single = request.path.strip("/").partition("/")
    checks = {"ping": "", "store": await _store_problem(context, root)}
    if context.encryption is not None and context.encryption.has_kms:
        checks["kms-providers"] = context.encryption.problem()
    if root != "livez":
        # A full disk is no reason to start the server anew.
        checks["store"] = checks["store"] or context.store.failure
        checks["bootstrap"] = "" if context.bootstrapped.is_set() else "not finished"
    if single:
        if single not in checks:
            return reply.no_page()
        checks = {single: checks[single]}
    excluded = set(request.query.get("exclude", []))
    failed = [name for name, problem in checks.items() if problem and name not in excluded]
    lines = []
    for name, problem in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        else:
            lines.append(f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok")
    if failed:
        text = "\n".join([*lines, f"{root} check failed", ""])
        return Reply(500, text.encode(), "text/plain; charset=utf-8")
    if "verbose" in request.query:
        text = "\n".join([*lines, f"{root} check passed", ""])
        return Reply(200, text.encode(), "text/plain; charset=utf-8")
    return Reply(200, b"ok", "text/plain; charset=utf-8")


async def version(_context: ServerContext, _request: Request) -> AnyReply:
    """Which Kubernetes this is."""
    major, minor, _ = VERSION.lstrip("v").split(".")
    answer = reply.encoded(
        {
            "major": major,
            "minor": minor,
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": f"{VERSION}+trireme",
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": f"python{platform.python_version()}",
            "compiler": platform.python_implementation(),
            "platform": "linux/"
            + {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        }
    )
    answer.body = json.pretty(answer.body)
    return answer


async def _store_problem(context: ServerContext, root: str) -> str:
    config = context.config
    ready = root == "readyz"
    try:
        async with asyncio.timeout(
            config.readycheck_timeout if ready else config.healthcheck_timeout
        ):
            await context.store.barrier()
    except TimeoutError:
        return "the store does not answer"
    except stores.StoreError as problem:
        return str(problem)
    return ""


HEALTHZ = Route("/healthz", check, prefix=True)
LIVEZ = Route("/livez", check, prefix=True)
READYZ = Route("/readyz", check, prefix=True)
VERSION_ROUTE = Route("/version", version)
