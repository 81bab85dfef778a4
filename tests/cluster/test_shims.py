"""Shims that containerd has lost are told from those that come and go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from trireme.cluster.hosts import plan, shims


def test_a_shim_is_lost_when_it_is_unknown_twice() -> None:
    running = {"a": 1, "b": 2, "c": 3}
    assert shims.lost(running, {"a", "b", "c"}, set()) == (set(), set())
    # One is about to be made or removed.
    assert shims.lost(running, {"a", "b"}, set()) == (set(), {"c"})
    assert shims.lost(running, {"a", "b", "c"}, {"c"}) == (set(), set())
    assert shims.lost(running, {"a"}, {"c", "gone"}) == ({"c"}, {"b"})


def fake_shim(folder: Path, socket: str, name: str) -> subprocess.Popen[bytes]:
    """A process that looks like a shim, with a child."""
    script = "import subprocess; subprocess.run(['sleep', '1000'])"
    program = folder / "containerd-shim-runc-v2"
    if not program.exists():
        program.symlink_to(sys.executable)
    # Python takes no unknown options: they stand behind the script, in pairs as a shim's do.
    argv = [str(program), "-c", script, "-namespace", "k8s.io", "-id", name, "-address", socket]
    return subprocess.Popen(argv)


def test_a_lost_shim_and_its_container_are_ended(tmp_path: Path, monkeypatch) -> None:
    node = plan.make("t", 1, places=plan.Places(str(tmp_path / "s"), str(tmp_path / "r"))).nodes[0]
    ctr = tmp_path / "ctr"
    ctr.write_text("#!/bin/sh\necho known\n")
    ctr.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(shims, "PERIOD", 1)
    known = fake_shim(tmp_path, node.containerd_socket, "known")
    leaked = fake_shim(tmp_path, node.containerd_socket, "leaked")
    others = fake_shim(tmp_path, "/elsewhere.sock", "leaked")
    try:
        end = time.monotonic() + 20
        while len(shims.running(node.containerd_socket)) < 2 or not shims._children(leaked.pid):
            assert time.monotonic() < end
        (child,) = shims._children(leaked.pid)
        watch = shims.Watch(node)
        ended: list[int] = []
        while not ended:
            assert time.monotonic() < end
            ended = watch.look()
        assert ended == [leaked.pid]
        assert leaked.wait(5) == -9
        assert known.poll() is None and others.poll() is None
        assert (
            not Path(f"/proc/{child}/cmdline").exists()
            or not Path(f"/proc/{child}/cmdline").read_bytes()
        )
    finally:
        for process in (known, leaked, others):
            shims._end(process.pid)
            process.wait()
