"""/healthz, /livez, /readyz with their checks, and /version.

https://kubernetes.io/docs/reference/using-api/health-checks/.
"""

from __future__ import annotations

import asyncio
import logging

from trireme.apiserver.config import VERSION
from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.machinery.codec import json
from trireme.runtime.serving import build
from trireme.store import contract as stores

log = logging.getLogger(__name__)
# What the server has before it listens: the store's content is in memory.
_INFORMERS = (
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/storage-readiness",
)
# What one bootstrap makes here; addresses need no repair of their own before it.
_BOOTSTRAP = (
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
)


async def check(context: ServerContext, request: Request) -> AnyReply:
    """``ok``, or which check failed with 500; ``?verbose`` lists the checks, ``?exclude=`` leaves
    some out.

    A single check is below: /readyz/etcd. It also tells what is wrong, which everybody may not know
    as everybody may ask for the whole.
    """
    root, _, single = request.path.strip("/").partition("/")
    checks = await _checks(context, root)
    context.indicators.checked(root, checks)
    if single:
        if single not in checks:
            return reply.no_page()
        problem = checks[single]
        return _page(500, f"internal server error: {problem}\n") if problem else _page(200, "ok")
    excluded = set(request.query.get("exclude", []))
    lines, failed = [], False
    for name, problem in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif problem:
            failed = True
            log.warning("%s: %s failed: %s", root, name, problem)
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    if unknown := sorted(excluded - checks.keys()):
        names = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
    if failed:
        return _page(500, "\n".join([*lines, f"{root} check failed", ""]))
    if "verbose" in request.query:
        return _page(200, "\n".join([*lines, f"{root} check passed", ""]))
    return _page(200, "ok")


async def slis(context: ServerContext, _request: Request) -> AnyReply:
    """The checks as service level indicators."""
    current = {root: await _checks(context, root) for root in ("healthz", "livez", "readyz")}
    return Reply(200, context.indicators.page(current), "text/plain; charset=utf-8")


async def _checks(context: ServerContext, root: str) -> dict[str, str]:
    """What is wrong, by the names upstream has for what is checked; "" where nothing is."""
    ready = root == "readyz"
    config, store = context.config, context.store
    problem = await _store_problem(store, config.healthcheck_timeout)
    if root == "healthz":
        problem = problem or store.failure
    checks = {"ping": "", "log": "", "etcd": problem}
    if ready:
        # A full disk is no reason to start the server anew. Its reads come from the store.
        late = await _store_problem(store, config.readycheck_timeout)
        checks["etcd-readiness"] = late or store.failure
        checks["informer-sync"] = ""
    if context.encryption is not None and context.encryption.has_kms:
        checks["kms-providers"] = context.encryption.problem()
    unfinished = "" if context.bootstrapped.is_set() else "not finished"
    checks |= dict.fromkeys(_INFORMERS, "") | dict.fromkeys(_BOOTSTRAP, unfinished)
    if ready:
        checks["shutdown"] = "process is shutting down" if context.stopping.is_set() else ""
    return checks


def _page(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), "text/plain; charset=utf-8")


async def version(_context: ServerContext, _request: Request) -> AnyReply:
    """Which Kubernetes this is."""
    answer = reply.encoded(build.info(VERSION))
    answer.body = json.pretty(answer.body)
    return answer


async def _store_problem(store: stores.Store, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await store.barrier()
    except TimeoutError:
        return "the store does not answer"
    except stores.StoreError as problem:
        return str(problem)
    return ""


HEALTHZ = Route("/healthz", check, prefix=True)
LIVEZ = Route("/livez", check, prefix=True)
READYZ = Route("/readyz", check, prefix=True)
VERSION_ROUTE = Route("/version", version)
SLIS = Route("/metrics/slis", slis)
