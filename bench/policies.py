"""What a policy adds to a write, and what a noisy client adds to others' reads: ``python
bench/policies.py [--upstream DIR] [--write]``.

One connection creates Pods (``dryRun=All``: no disk is waited for), by turns without and with
twenty ValidatingAdmissionPolicies that look at every container; a twentieth of the difference of
the medians is what one adds. Then one user GETs a ConfigMap, alone and beside another user's 64
connections that list the same ConfigMaps without a pause; both are impersonated. Clients are other
processes. ``--write`` puts the rows into RESULTS.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import results
import subjects
from load import MAPS, PODS, SPACE
from results import Row
from subjects import TOKEN, Subject

GROUP = "admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io"
ROUNDS, EACH = 5, 150
POLICIES = 20
NOISY = 64
SECONDS = 5.0
# What one policy may add.
GOAL = 30e-6
# How many times longer the quiet user may wait beside the noisy one.
BESIDE = 2


def policy(name: str) -> list[dict[str, Any]]:
    """A policy that goes through a Pod's containers, and its binding."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [
            {"expression": "object.spec.containers.all(c, !c.image.startsWith('bad/'))"}
        ],
    }
    head = {"apiVersion": GROUP, "metadata": {"name": name}}
    bound = {"policyName": name, "validationActions": ["Deny"]}
    return [
        head | {"kind": "ValidatingAdmissionPolicy", "spec": spec},
        head | {"kind": "ValidatingAdmissionPolicyBinding", "spec": bound},
    ]


class Client:
    """One connection that is kept, as an administrator or as whom it impersonates."""

    def __init__(self, subject: Subject, user: str = "") -> None:
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", subject.port, context=subject.context()
        )
        self._headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        if user:
            self._headers["Impersonate-User"] = user

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def must(self, method: str, path: str, body: Any = None) -> None:
        status, answer = self.ask(method, path, body)
        assert status < 300, (method, path, status, answer)


def added(subject: Subject) -> float:
    """Seconds that each policy adds to a creation."""
    client = Client(subject)
    account = {"metadata": {"name": "default"}}
    client.ask("POST", "/api/v1/namespaces", {"metadata": {"name": SPACE}})
    client.ask("POST", PODS.replace("pods", "serviceaccounts"), account)
    containers = [
        {"name": f"c{i}", "image": f"images/{i}", "env": [{"name": "A", "value": "1"}]}
        for i in range(3)
    ]
    pod = {
        "metadata": {"name": "measured"},
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }
    taken: dict[bool, list[float]] = {False: [], True: []}
    for with_policy in (False, True) * ROUNDS:
        kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
        for name in (f"measured-{number}" for number in range(POLICIES)):
            for kind, body in zip(kinds, policy(name), strict=True):
                if with_policy:
                    client.must("POST", f"/apis/{GROUP}/{kind}", body)
                else:
                    client.ask("DELETE", f"/apis/{GROUP}/{kind}/{name}")
        # Upstream looks once a second.
        time.sleep(2.5)
        for _ in range(EACH):
            began = time.perf_counter()
            client.must("POST", f"{PODS}?dryRun=All", pod)
            taken[with_policy].append(time.perf_counter() - began)
    return (statistics.median(taken[True]) - statistics.median(taken[False])) / POLICIES


def allow(subject: Subject) -> None:
    """Both users may read, and there is something to read."""
    client = Client(subject)
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    role = {"metadata": {"name": "measured"}, "rules": [rule]}
    client.must("POST", f"/apis/{RBAC}/v1/clusterroles", role)
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "measured"}
    binding = {
        "metadata": {"name": "measured"},
        "roleRef": ref,
        "subjects": [
            {"kind": "User", "name": name, "apiGroup": RBAC} for name in ("quiet", "noisy")
        ],
    }
    client.must("POST", f"/apis/{RBAC}/v1/clusterrolebindings", binding)
    # Upstream's authorizer hears of it a moment later.
    time.sleep(2)
    for number in range(200):
        body = {"metadata": {"name": f"m{number}"}, "data": {"a": "x" * 1000}}
        client.must("POST", MAPS, body)


def quiet(subject: Subject) -> float:
    """The 99th percentile of a small read, in seconds."""
    client = Client(subject, "quiet")
    taken = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        client.must("GET", f"{MAPS}/m0")
        taken.append(time.perf_counter() - began)
        time.sleep(0.002)
    return statistics.quantiles(taken, n=100)[98]


@contextmanager
def noise(subject: Subject) -> Iterator[None]:
    over = multiprocessing.Event()
    process = multiprocessing.Process(target=_noise, args=(subject, over))
    process.start()
    time.sleep(1)
    try:
        yield
    finally:
        over.set()
        process.join()


def _noise(subject: Subject, over: Event) -> None:
    def repeat() -> None:
        client = Client(subject, "noisy")
        while not over.is_set():
            client.ask("GET", MAPS)

    threads = [threading.Thread(target=repeat) for _ in range(NOISY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(subject: Subject) -> tuple[float, float, float]:
    cost = added(subject)
    allow(subject)
    alone = quiet(subject)
    with noise(subject):
        return cost, alone, quiet(subject)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--upstream", type=Path)
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    busy = os.getloadavg()[0]
    with subjects.trireme() as subject:
        ours = measure(subject)
    theirs: tuple[float | None, ...] = (None, None, None)
    if given.upstream is not None:
        with subjects.upstream(given.upstream) as subject:
            theirs = measure(subject)
    names = (
        "one ValidatingAdmissionPolicy: added to a creation of a Pod",
        "GET of a quiet user alone, 99th percentile",
        "the same beside a noisy user's 64 connections",
    )
    goals = (GOAL, None, BESIDE * ours[1])
    rows = [
        Row(name, "s", mine, goal, other)
        for name, mine, goal, other in zip(names, ours, goals, theirs, strict=True)
    ]
    results.show(rows, busy, write=given.write)


if __name__ == "__main__":
    main()
