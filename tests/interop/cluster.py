"""A real cluster for the tests of this folder, and kubectl to ask it with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TRIREME = (sys.executable, "-m", "trireme.cluster.main")
PATIENCE = 60.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="nodes need root")
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")


def trireme(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of ours; its output goes into the failure when it fails."""
    done = subprocess.run(
        [*TRIREME, *words], capture_output=True, text=True, timeout=120, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"trireme {' '.join(words)}: {done.stdout}{done.stderr}")
    return done


@contextmanager
def running(name: str, *words: str) -> Iterator[Kubectl]:
    """A cluster that is up while the block runs, and gone after it."""
    trireme("up", "--name", name, *words)
    try:
        path = trireme("kubeconfig", "--name", name, "--path").stdout.strip()
        yield Kubectl(Path(path), name)
    finally:
        trireme("down", "--name", name)


class Kubectl:
    """kubectl with a kubeconfig; a call returns what it prints."""

    def __init__(self, kubeconfig: Path, cluster: str) -> None:
        self.kubeconfig = kubeconfig
        self.cluster = cluster
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def __call__(
        self, *words: str, given: str = "", fails: bool = False, patience: float = 120.0
    ) -> str:
        """Run kubectl, for ``patience`` seconds at most. ``given`` is its input; with ``fails`` it
        has to fail, and its error is returned."""
        done = subprocess.run(
            ["kubectl", *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            env=self.environment,
        )
        if bool(done.returncode) != fails:
            raise AssertionError(
                f"kubectl {' '.join(words)} → {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stderr if fails else done.stdout

    def json(self, *words: str) -> Any:
        """``kubectl get ... -o json``, parsed."""
        return json.loads(self("get", *words, "-o", "json"))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A kubectl that goes on (logs --follow, port-forward). The caller ends it."""
        return subprocess.Popen(
            ["kubectl", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )


def until(what: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true value of ``what``; an exception or a false value is tried again."""
    end = time.monotonic() + patience
    while True:
        problem: BaseException | None = None
        try:
            value = what()
            if value:
                return value
        except (AssertionError, OSError) as error:
            problem = error
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {patience} s: {problem}")
        time.sleep(0.1)
