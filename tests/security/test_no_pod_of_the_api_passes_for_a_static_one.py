"""No pod of the API passes for a static one, which is critical: it preempts, and is never evicted.

The kubelet trusts the annotation kubernetes.io/config.source only of pods that it read itself.
"""

from __future__ import annotations

from tests.kubelet.harness import Node, play, pod
from trireme.kubelet import podspec


def test_the_annotation_of_a_pod_of_the_api_says_nothing() -> None:
    async def story(node: Node) -> None:
        made = pod("sly")
        made.metadata.annotations = {"kubernetes.io/config.source": "file"}
        await node.api.put(made)
        await node.until(lambda: node.phase("sly") == "Running", 5)
        assert [p for p in node.kubelet.workers.pods() if podspec.is_static(p)] == []
        assert not any(podspec.is_critical(p) for p in node.kubelet.workers.pods())

    play(story)
