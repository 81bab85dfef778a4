"""What a request costs before it is answered, in the server's own process: ``python
bench/access.py [--write]``.

Authentication by certificate and by token, RBAC without and with 1,000 bindings more, and the audit
log at each level: each alone, as what it adds to a GET or a create that is answered in process.
``--write`` puts the rows into RESULTS.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import results
from results import Row

from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.apiserver import chain
from trireme.apiserver.audit import policy
from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.registry import SELF, Call
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.apiserver.settings.audit import Audit, LogSettings
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery.meta import ObjectMeta
from trireme.testing import control_plane

EACH, ROUNDS = 3000, 5
CREATED, TURNS = 200, 15
BINDINGS = 1000
# Microseconds.
GOAL = 20.0
MAPS = "/api/v1/namespaces/default/configmaps"
MASTER = User("admin", groups=("system:masters", "system:authenticated"))
BODY = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}'


async def microseconds(call: Callable[[int], Awaitable[Any]]) -> float:
    """Of one call, the best of some rounds."""
    found = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        for index in range(EACH):
            await call(number * EACH + index)
        found.append((time.perf_counter() - began) / EACH)
    return min(found) * 1e6


async def authentication() -> list[Row]:
    """By certificate and by token: of a request that is known, as all but the first are."""
    now = time.time()
    pair = pki.issue(pki.new_authority("ca", now), "jane", now, organizations=["devs"])
    certificate = ssl.PEM_cert_to_DER_cert(pair.certificate.decode())
    tokens = Authentication(static_tokens={"t": ("jane", "1", ("devs",))})
    rows = []
    async with control_plane.api_server(Env(), authentication=tokens) as server:
        authenticator = server.context.authenticator
        by_certificate = Request("GET", MAPS, peer_certificate=certificate)
        by_token = Request("GET", MAPS, headers={"authorization": "Bearer t"})
        for name, request in (("certificate", by_certificate), ("token", by_token)):

            async def call(_: int, request: Request = request) -> None:
                await authenticator.authenticate(request)

            rows.append(Row(f"authentication by {name}", "µs", await microseconds(call)))
    return rows


async def bind(server: ApiServer) -> None:
    """Give each of many users a role of its own."""
    context, group = server.context, "rbac.authorization.k8s.io"
    rule = PolicyRule(verbs=["get"], apiGroups=[""], resources=["pods"])
    for number in range(BINDINGS):
        meta = ObjectMeta(name=f"r{number}", namespace="default")
        role = Role(metadata=meta, rules=[rule])
        await context.registry.create(context.endpoint(Role), "default", role, Call(SELF))
        bound = RoleBinding(
            metadata=ObjectMeta(name=f"r{number}", namespace="default"),
            subjects=[Subject(kind="User", name=f"u{number}", apiGroup=group)],
            roleRef=RoleRef(apiGroup=group, kind="Role", name=f"r{number}"),
        )
        endpoint = context.endpoint(RoleBinding)
        await context.registry.create(endpoint, "default", bound, Call(SELF))


async def authorization() -> list[Row]:
    """RBAC's answer about one of many users."""
    rows = []
    async with control_plane.api_server(Env()) as server:
        authorizer = server.context.authorizer
        asked = [
            Attributes(
                User(f"u{number}", groups=("system:authenticated",)),
                "get",
                version="v1",
                resource="pods",
                namespace="default",
                name="x",
            )
            for number in range(BINDINGS)
        ]

        async def call(number: int) -> None:
            authorizer.authorize(asked[number % BINDINGS])

        rows.append(Row("RBAC, without further bindings", "µs", await microseconds(call)))
        await bind(server)
        found = await microseconds(call)
        rows.append(Row(f"RBAC, {BINDINGS:,} bindings", "µs", found, goal=GOAL))
    return rows


async def audited(folder: Path) -> list[Row]:
    """What the audit log adds to a create at each level: servers without and with it take turns."""
    rows = []
    for level in ("None", "Metadata", "Request", "RequestResponse"):
        rules = (
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n"
            f"rules: [{{level: {level}}}]"
        )
        log = LogSettings(folder / f"{level}.log")
        audit = Audit(policy.decode(rules.encode()), log)
        async with (
            control_plane.api_server(Env()) as without,
            control_plane.api_server(Env(), audit=audit) as audited,
        ):
            added = [await created(audited) - await created(without) for _ in range(TURNS)]
        rows.append(
            Row(f"audit log, level {level}: added to a create", "µs", statistics.median(added))
        )
    return rows


async def created(server: ApiServer) -> float:
    """Microseconds of a create that is tried only, so that the store stays as it is."""
    began = time.perf_counter()
    for _ in range(CREATED):
        headers = {"content-type": "application/json"}
        request = Request("POST", MAPS, "dryRun=All", headers, BODY, user=MASTER)
        answer = await chain.handle(server, request)
        request.close()
        assert getattr(answer, "status", 0) == 201
    return (time.perf_counter() - began) / CREATED * 1e6


async def measured() -> list[Row]:
    """All rows."""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as name:
        return [*await authentication(), *await authorization(), *await audited(Path(name))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    results.show(asyncio.run(measured()), busy, write=options.write)


if __name__ == "__main__":
    main()
