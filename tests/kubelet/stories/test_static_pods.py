"""Static pods, from files and from a URL, and their mirrors in the API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from tests.kubelet.harness import Node, play

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.component import Parts
from trireme.kubelet.desired import manifests
from trireme.kubelet.desired.manifests import ManifestError, Origin
from trireme.testing.fake_cri import Behaviour

FOLDER = "/etc/kubernetes/manifests"
MIRROR, HASH = "kubernetes.io/config.mirror", "kubernetes.io/config.hash"


def manifest(name: str = "web", **spec: Any) -> bytes:
    lines = [
        "apiVersion: v1",
        "kind: Pod",
        "metadata:",
        f"  name: {name}",
        "  labels: {app: web}",
        "spec:",
        *(f"  {key}: {value}" for key, value in spec.items()),
        "  containers:",
        "  - {name: main, image: web}",
    ]
    return "\n".join(lines).encode()


def write(node: Node, data: bytes, name: str = "web.yaml") -> None:
    node.host.make_dirs(FOLDER)
    node.host.write(f"{FOLDER}/{name}", data)


async def remove(node: Node, name: str = "web.yaml") -> None:
    await node.host.remove_tree(f"{FOLDER}/{name}")


def static(node: Node) -> list[core.Pod]:
    assert node.kubelet is not None
    return [p for p in node.kubelet.workers.pods() if podspec.is_static(p)]


def running(node: Node) -> int:
    return sum(c.state == 1 for c in node.cri.containers.values())


def test_a_manifest_runs_and_is_mirrored() -> None:
    async def story(node: Node) -> None:
        write(node, manifest())
        await node.until(
            lambda: node.api.has_pod("web-node-0") and node.phase("web-node-0") == "Running", 5
        )
        mirror, (own,) = node.api.pod("web-node-0"), static(node)
        notes = mirror.metadata.annotations
        assert notes[MIRROR] == notes[HASH] == own.metadata.uid != mirror.metadata.uid
        assert notes["kubernetes.io/config.source"] == "file"
        assert "kubernetes.io/config.seen" in notes
        (owner,) = mirror.metadata.ownerReferences
        assert (owner.kind, owner.name, owner.controller) == ("Node", "node-0", True)
        assert mirror.metadata.labels == {"app": "web"}
        assert any(
            t.operator == "Exists" and t.effect == "NoExecute" and not t.key
            for t in mirror.spec.tolerations
        )
        assert node.condition("web-node-0", "Ready") == "True"
        # Its status goes on being written.
        node.cri.crash("web-node-0", "main")
        await node.until(lambda: node.container("web-node-0").restartCount == 1, 30)

    play(story, static_pod_path=FOLDER)


def test_a_deleted_mirror_comes_back_and_the_pod_goes_on() -> None:
    async def story(node: Node) -> None:
        write(node, manifest())
        await node.until(lambda: node.api.has_pod("web-node-0"), 5)
        await node.until(lambda: node.phase("web-node-0") == "Running", 5)
        first, container = node.api.pod("web-node-0").metadata.uid, node.container("web-node-0")
        await node.api.delete_pod("web-node-0")
        await node.until(
            lambda: (
                node.api.has_pod("web-node-0")
                and node.api.pod("web-node-0").metadata.uid != first
                and node.phase("web-node-0") == "Running"
            ),
            10,
        )
        assert node.container("web-node-0").containerID == container.containerID

    play(story, static_pod_path=FOLDER)


def test_a_changed_manifest_is_another_pod() -> None:
    async def story(node: Node) -> None:
        write(node, manifest())
        await node.until(lambda: static(node) and running(node) == 1, 5)
        (old,) = static(node)
        write(node, manifest(hostname="other"))
        await node.until(
            lambda: [p.spec.hostname for p in static(node)] == ["other"] and running(node) == 1, 60
        )
        (new,) = static(node)
        assert new.metadata.uid != old.metadata.uid
        await node.until(
            lambda: (
                node.api.has_pod("web-node-0")
                and node.api.pod("web-node-0").metadata.annotations[HASH] == new.metadata.uid
            ),
            10,
        )
        await remove(node)
        await node.until(lambda: not static(node) and not node.api.has_pod("web-node-0"), 60)
        assert running(node) == 0

    play(story, static_pod_path=FOLDER)


def test_a_restarted_kubelet_adopts_static_pods() -> None:
    async def story(node: Node) -> None:
        write(node, manifest())
        await node.until(lambda: node.api.has_pod("web-node-0"), 5)
        await node.until(lambda: node.phase("web-node-0") == "Running", 5)
        before = {c.id for c in node.cri.containers.values()}
        await node.stop()
        await node.start()
        await node.env.clock.sleep(30)
        assert {c.id for c in node.cri.containers.values()} == before and running(node) == 1
        # One that was removed while no kubelet ran is stopped, and its mirror deleted.
        await node.stop()
        await remove(node)
        await node.start()
        await node.until(lambda: running(node) == 0 and not node.api.has_pod("web-node-0"), 60)

    play(story, static_pod_path=FOLDER)


def test_static_pods_run_while_the_api_server_is_away() -> None:
    async def story(node: Node) -> None:
        await node.stop()
        write(node, manifest())
        node.api.node_wire.broken = True
        starting = asyncio.create_task(node.start())
        await node.env.clock.sleep(5)
        assert running(node) == 1
        node.cri.crash("web-node-0", "main")
        await node.env.clock.sleep(20)
        assert running(node) == 1
        assert not node.api.has_pod("web-node-0")
        node.api.node_wire.broken = False
        await starting
        await node.until(lambda: node.api.has_pod("web-node-0"), 30)

    play(story, static_pod_path=FOLDER)


def test_a_kubelet_alone_runs_static_pods() -> None:
    async def story(node: Node) -> None:
        node.api.node_wire.broken = True
        write(node, manifest())
        await node.until(lambda: running(node) == 1, 5)
        await node.env.clock.sleep(60)
        write(node, manifest("other"), "other.yaml")
        await node.until(lambda: running(node) == 2, 5)
        await remove(node)
        await node.until(lambda: running(node) == 1, 60)
        await node.stop()
        await node.start()
        await node.env.clock.sleep(10)
        assert running(node) == 1

    play(story, static_pod_path=FOLDER, standalone=True)


def test_a_url_gives_pods_and_orphans_wait_for_it() -> None:
    answers: list[tuple[int, bytes]] = [(200, manifest())]
    asked: list[tuple[str, Mapping[str, str]]] = []

    async def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        asked.append((url, headers))
        return answers[0]

    class Fetching(Node):
        def parts(self) -> Parts:
            return msgspec.structs.replace(super().parts(), fetch=fetch)

    async def story(node: Node) -> None:
        await node.until(lambda: running(node) == 1, 5)
        assert asked[0] == ("http://pods/", {"X-Key": "a"})
        await node.stop()
        answers[0] = (503, b"")
        await node.start()
        await node.env.clock.sleep(60)
        assert running(node) == 1  # nobody knows whether it is still desired
        answers[0] = (200, b'{"apiVersion": "v1", "kind": "PodList", "items": []}')
        await node.until(lambda: running(node) == 0, 60)

    play(
        story,
        node=Fetching,
        static_pod_url="http://pods/",
        static_pod_url_headers={"X-Key": "a"},
    )


def test_broken_manifests_leave_the_others_alone() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web-node-0", "main", Behaviour())
        write(node, b"{", "broken.yaml")
        write(node, manifest("bad") + b"\n  nodeName: [", "bad.yaml")
        write(node, manifest("hidden"), ".hidden.yaml")
        write(node, manifest(serviceAccountName="default"), "reference.yaml")
        write(node, manifest())
        await node.until(lambda: running(node) == 1, 5)
        await node.env.clock.sleep(5)
        assert [p.metadata.name for p in static(node)] == ["web-node-0"]

    play(story, static_pod_path=FOLDER)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "not a v1 Pod"),
        (b"a: [", "couldn't parse as pod"),
        (b"[]", "not a v1 Pod"),
        (b"apiVersion: v1\nkind: Secret\n", "not a v1 Pod"),
        (b"apiVersion: v1\nkind: PodList\nitems: []\n", "not a v1 Pod"),
        (b"apiVersion: v1\nkind: Pod\nspec: {}\n", "name is needed"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: 7\n", "couldn't parse as pod"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", "invalid pod: "),
        (manifest(serviceAccountName="a"), "may not reference serviceaccounts"),
        (manifest(imagePullSecrets="[{name: a}]"), "may not reference secrets"),
        (
            manifest(volumes="[{name: v, persistentVolumeClaim: {claimName: c}}]"),
            "may not reference persistentvolumeclaims",
        ),
        (b"x" * (manifests.LIMIT + 1), "longer than"),
    ],
)
def test_what_is_no_static_pod(data: bytes, error: str) -> None:
    with pytest.raises(ManifestError, match=error):
        manifests.pods(data, Origin("file", "/m/a.yaml", "node-0"), "2026-01-01T00:00:00Z")


def test_a_uid_is_of_the_content_and_its_place() -> None:
    def uid(data: bytes, origin: Origin) -> str:
        return manifests.pods(data, origin, "2026-01-01T00:00:00Z")[0].metadata.uid

    here = Origin("file", "/m/a.yaml", "node-0")
    first = uid(manifest(), here)
    assert first == uid(manifest() + b"\n# a comment\n", here)
    others = {
        uid(manifest(hostname="a"), here),
        uid(manifest(), Origin("file", "/m/b.yaml", "node-0")),
        uid(manifest(), Origin("file", "/m/a.yaml", "node-1")),
        uid(manifest(), Origin("http", "/m/a.yaml", "node-0")),
    }
    assert len({first, *others}) == 5
