"""A real registry, and the way to it: a server in a network namespace of the test's own stands for
the world beyond the host. A cluster that may reach that network pulls an image from it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, until
from trireme.cluster.hosts import network
from trireme.cluster.hosts.outside import FORWARDING
from trireme.cluster.images import build, recipes

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

NETWORK, HOST, SERVER = "198.51.100.0/24", "198.51.100.1", "198.51.100.2"

# The reading half of the OCI distribution API over a folder of blobs, and who asked.
REGISTRY = """
import http.server, json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
index = json.loads((folder / "index.json").read_text())["manifests"][0]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, whole):
        (folder / "clients").open("a").write(self.client_address[0] + "\\n")
        kind, _, last = self.path.rpartition("/")
        body, media = b"{}", "application/json"
        if "/manifests" in kind or "/blobs" in kind:
            digest = index["digest"] if ":" not in last else last
            body = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
            media = "application/octet-stream"
            if "/manifests" in kind:
                media = json.loads(body).get("mediaType") or index["mediaType"]
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        if "/manifests" in kind:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if whole:
            self.wfile.write(body)


http.server.ThreadingHTTPServer((sys.argv[2], 5000), Handler).serve_forever()
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Path]:
    """A registry at SERVER:5000 that holds busybox; yields its folder."""
    with tarfile.open(fileobj=BytesIO(build.build([recipes.busybox_image()]))) as archive:
        archive.extractall(tmp_path, filter="data")
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["manifests"]
    script = tmp_path / "registry.py"
    script.write_text(textwrap.dedent(REGISTRY))
    # Not by `ip netns add`: that mounts /run/netns over what is there, and leaves it so.
    space = tmp_path / "outside"
    network.make_netns(space)
    inside = f"nsenter --net={space} --"
    for command in (
        f"ip link add tri-out type veth peer name eth0 netns {space}",
        f"ip address add {HOST}/24 dev tri-out",
        "ip link set tri-out up",
        f"{inside} ip address add {SERVER}/24 dev eth0",
        f"{inside} ip link set eth0 up",
    ):
        subprocess.run(command.split(), check=True)
    server = subprocess.Popen(
        [*inside.split(), sys.executable, str(script), str(tmp_path), SERVER],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield tmp_path
    finally:
        server.kill()
        server.wait()
        subprocess.run(["ip", "link", "del", "tri-out"], check=True)
        network.remove_netns(space)


def trust(cluster: Kubectl) -> None:
    """Tell the node's runtime that the registry speaks plain HTTP."""
    state = cluster.kubeconfig.parent
    for node in state.glob("node-*"):
        folder = node / "registries" / f"{SERVER}:5000"
        folder.mkdir(parents=True, exist_ok=True)
        origin = f"http://{SERVER}:5000"
        (folder / "hosts.toml").write_text(
            f'server = "{origin}"\n[host."{origin}"]\ncapabilities = ["pull", "resolve"]\n'
        )


def test_an_image_comes_from_a_registry_outside(registry: Path) -> None:
    before = FORWARDING.read_text()
    image = f"{SERVER}:5000/tools/busybox:1"
    with running("outside", "--nodes", "1", "--outside", NETWORK) as kubectl:
        trust(kubectl)
        until(lambda: kubectl("get", "serviceaccount", "default"))
        kubectl("run", "pulled", f"--image={image}", "--restart=Never", "--", "echo", "it runs")
        until(lambda: "it runs" in kubectl("logs", "pulled"))
        events = kubectl("get", "events", "--field-selector", "reason=Pulled")
        assert f'Successfully pulled image "{image}"' in events
        # The world sees the host, not the node.
        assert set((registry / "clients").read_text().split()) == {HOST}
    assert FORWARDING.read_text() == before
    assert (
        "trireme-outside"
        not in subprocess.run(
            ["nft", "list", "tables"], check=True, capture_output=True, text=True
        ).stdout
    )


def test_without_leave_the_outside_is_out_of_reach(registry: Path) -> None:
    with running("inside", "--nodes", "1") as kubectl:
        trust(kubectl)
        until(lambda: kubectl("get", "serviceaccount", "default"))
        kubectl("run", "p", f"--image={SERVER}:5000/tools/busybox:1", "--restart=Never")
        until(
            lambda: (
                "ErrImagePull" in kubectl("get", "events")
                or "BackOff" in kubectl("get", "pod", "p")
            )
        )
        assert not (registry / "clients").exists()
