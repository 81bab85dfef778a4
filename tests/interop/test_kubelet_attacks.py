"""Pods with real containers that try to get out through their volumes, and files that change.

The promises are those of tests/security; here a real runtime and a real kernel hold them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.interop.real_node import RealNode, shell, waiting
from tests.kubelet.harness import pod
from trireme.api.core import v1 as core

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]

NAME = core.DownwardAPIVolumeFile(
    path="key", fieldRef=core.ObjectFieldSelector(apiVersion="v1", fieldPath="metadata.labels")
)
SOURCES: dict[str, dict[str, Any]] = {
    "configMap": {"configMap": core.ConfigMapVolumeSource(name="conf")},
    "secret": {"secret": core.SecretVolumeSource(secretName="conf")},
    "downwardAPI": {"downwardAPI": core.DownwardAPIVolumeSource(items=[NAME])},
    "projected": {
        "projected": core.ProjectedVolumeSource(
            sources=[core.VolumeProjection(configMap=core.ConfigMapProjection(name="conf"))]
        )
    },
}


def mount(path: str, name: str = "v", sub_path: str = "") -> core.VolumeMount:
    return core.VolumeMount(name=name, mountPath=path, subPath=sub_path)


def empty(name: str = "v") -> core.Volume:
    return core.Volume(name=name, emptyDir=core.EmptyDirVolumeSource())


def init(script: str) -> core.Container:
    made = shell(script, volumeMounts=[mount("/v")])
    made.name = "init"
    return made


async def configure(node: RealNode, value: str) -> None:
    for made in (
        core.ConfigMap(data={"key": value}),
        core.Secret(data={"key": value.encode()}),
    ):
        made.metadata.name, made.metadata.namespace = "conf", "default"
        await node.api.put(made)


def message(node: RealNode, name: str) -> str:
    state = node.container(name).state
    return (state.terminated or state.waiting or core.ContainerStateTerminated()).message or ""


async def test_configuration_cannot_be_written_by_its_containers(node: RealNode) -> None:
    await configure(node, "1")
    script = """
        for v in configMap secret downwardAPI projected; do
          { echo x > /$v/new || ln -s /etc /$v/..data_tmp || rm /$v/key || mount -o remount,rw /$v
          } 2>/dev/null && echo "$v is writable"
        done > /dev/termination-log
        echo end >> /dev/termination-log"""
    volumes = [core.Volume(name=name.lower(), **source) for name, source in SOURCES.items()]
    mounts = [mount(f"/{name}", name.lower()) for name in SOURCES]
    await node.api.put(
        pod("web", shell(script, volumeMounts=mounts), volumes=volumes, restartPolicy="Never")
    )
    await node.until(lambda: node.phase("web") == "Succeeded")
    assert message(node, "web") == "end\n"


async def test_links_in_a_volume_lead_nowhere(node: RealNode, tmp_path: Path) -> None:
    """subPath and fileKeyRef over links to the host, which the host's root could follow."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "env").write_text("KEY='of the host'\n")
    traps = (
        f"ln -s {outside} /v/trap; ln -s {outside}/new /v/dangling; "
        f"ln -s ../../../../../../../../../..{outside} /v/up; mkfifo /v/pipe; mknod /v/null c 1 3"
    )
    sub_paths = ["trap", "up", "dangling", "trap/made/here", "up/env"]
    files = ["trap/env", "up/env", "pipe", "null"]
    for index, path in enumerate(sub_paths):
        main = shell("exec sleep 1000", volumeMounts=[mount("/x", sub_path=path)])
        await node.api.put(
            pod(f"sub-{index}", main, initContainers=[init(traps)], volumes=[empty()])
        )
    for index, path in enumerate(files):
        ref = core.FileKeySelector(volumeName="v", path=path, key="KEY")
        main = shell(
            "exec sleep 1000",
            env=[core.EnvVar(name="KEY", valueFrom=core.EnvVarSource(fileKeyRef=ref))],
        )
        await node.api.put(
            pod(f"env-{index}", main, initContainers=[init(traps)], volumes=[empty()])
        )
    names = [f"sub-{i}" for i in range(len(sub_paths))] + [f"env-{i}" for i in range(len(files))]
    for name in names:
        await node.until(lambda name=name: waiting(node, name) == "CreateContainerConfigError", 60)
        assert message(node, name).startswith(
            "failed to" if name.startswith("sub") else "couldn't parse env file"
        )
    assert sorted(os.listdir(outside)) == ["env"]


async def test_an_env_file_of_an_init_container_is_read(node: RealNode) -> None:
    ref = core.FileKeySelector(volumeName="v", path="link", key="KEY")
    main = shell(
        'echo -n "$KEY" > /dev/termination-log',
        env=[core.EnvVar(name="KEY", valueFrom=core.EnvVarSource(fileKeyRef=ref))],
    )
    first = init(
        "mkdir /v/d; printf \"# one\\nKEY='a\\nb' # two\\n\" > /v/d/env; ln -s d/env /v/link"
    )
    await node.api.put(
        pod("web", main, initContainers=[first], volumes=[empty()], restartPolicy="Never")
    )
    await node.until(lambda: node.phase("web") == "Succeeded")
    assert message(node, "web") == "a\nb"


async def test_what_ends_in_a_pipe_or_a_tree_without_end_is_taken_down(node: RealNode) -> None:
    """A pipe where the last words should be is not waited for; a deep tree is removed."""
    first = init("mkfifo /v/pipe; i=0; while [ $i -lt 3000 ]; do mkdir d && cd d; i=$((i+1)); done")
    first.workingDir = "/v"
    main = shell("exit 1", volumeMounts=[mount("/dev/termination-log", sub_path="pipe")])
    await node.api.put(
        pod("web", main, initContainers=[first], volumes=[empty()], restartPolicy="Never")
    )
    await node.until(lambda: node.phase("web") == "Failed", 40)
    assert message(node, "web").startswith("Error on reading termination log ")
    assert message(node, "web").endswith(": not a regular file")
    await node.api.delete_pod("web", grace=1)
    await node.until(lambda: not node.host.list(f"{node.config.root_dir}/pods"), 40)


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_sub_path_starts_again_after_its_file_was_replaced(
    node: RealNode, kind: str
) -> None:
    await configure(node, "one")
    of = pod(
        "web",
        shell(
            "cat /key > /dev/termination-log; until [ -e /w/go ]; do sleep 0.1; done; exit 1",
            volumeMounts=[mount("/key", sub_path="key"), mount("/w", "w")],
        ),
        volumes=[core.Volume(name="v", **SOURCES[kind]), empty("w")],
    )
    of.metadata.labels = {"a": "one"}
    made = await node.api.put(of)
    await node.until(lambda: node.ready("web"))
    await configure(node, "two")
    fresh = node.api.pod("web")
    fresh.metadata.labels = {"a": "two"}
    await node.api.client.update(fresh)
    directory = f"{node.config.root_dir}/pods/{made.metadata.uid}/volumes"
    [volume] = [name for name in node.host.list(directory) if not name.endswith("empty-dir")]
    node.kubelet.workers.notify(made.metadata.uid)
    await node.until(lambda: b"two" in node.host.read(f"{directory}/{volume}/v/key"), 80)
    node.host.write(f"{directory}/kubernetes.io~empty-dir/w/go", b"")
    await node.until(lambda: node.container("web").restartCount > 0, 30)
    await node.until(lambda: node.container("web").state.running is not None, 30)
    ended = node.container("web").lastState.terminated
    assert "one" in ended.message
    await node.until(
        lambda: "two" in (node.container("web").lastState.terminated.message or ""), 30
    )


async def test_a_sub_path_starts_again_after_a_pod_replaced_it(node: RealNode) -> None:
    """A file became another file, then a directory."""
    script = """
        if [ -d /key ]; then echo -n directory; exec sleep 1000; fi
        cat /key
        if grep -q one /key
        then echo -n two > /v/new; mv /v/new /v/key
        else rm /v/key; mkdir /v/key
        fi
        exit 1"""
    main = shell(script, volumeMounts=[mount("/v"), mount("/key", sub_path="key")])
    main.terminationMessagePolicy = "FallbackToLogsOnError"
    await node.api.put(
        pod("web", main, initContainers=[init("echo -n one > /v/key")], volumes=[empty()])
    )
    await node.until(lambda: node.phase("web") == "Running")
    await node.until(lambda: node.container("web").restartCount == 2, 60)
    await node.until(lambda: node.container("web").state.running is not None, 60)
    assert node.container("web").lastState.terminated.message == "two"


async def test_nothing_runs_as_root_that_must_not(node: RealNode) -> None:
    context = core.PodSecurityContext(runAsNonRoot=True)
    await node.api.put(pod("web", shell("id"), securityContext=context))
    await node.until(lambda: waiting(node, "web") == "CreateContainerConfigError")
    assert message(node, "web").startswith(
        "container has runAsNonRoot and image will run as root (pod:"
    )
