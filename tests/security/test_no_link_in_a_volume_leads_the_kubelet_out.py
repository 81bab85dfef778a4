"""What a pod puts into a volume never makes the kubelet, which is root, touch anything outside.

Not a symbolic link, be it put there between two steps, not a pipe or a device, not a tree of any
depth. Each way in which the kubelet reads, makes, changes or removes files that a pod can reach is
tried with a volume full of traps. Upstream: pkg/volume/util/subpath/subpath_linux.go,
pkg/volume/util/atomic_writer.go; the tool is openat(2) with O_NOFOLLOW, one component at a time.
"""

from __future__ import annotations

import ast
import ctypes
import errno
import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kubelet.harness import Node, container, play, pod
from trireme.api.core import v1 as core
from trireme.kubelet.host import root as roots
from trireme.kubelet.host.contract import Host, Root
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.volumes import atomic, ownership
from trireme.kubelet.volumes.atomic import File

SECRET = b"for root's eyes only"


class Place:
    """A volume, ``inside``, beside a directory of the host, ``outside``, that holds a secret."""

    def __init__(self, host: Host, base: str) -> None:
        self.host, self.base = host, base
        self.inside, self.outside = f"{base}/volume", f"{base}/host"
        for path in (self.inside, self.outside):
            host.make_dirs(path)
        host.write(f"{self.outside}/secret", SECRET, 0o600)
        self.root = host.open_root(self.inside)

    def link(self, name: str, target: str) -> None:
        self.root.symlink(target, name)

    def untouched(self) -> None:
        assert self.host.list(self.outside) == ["secret"]
        assert self.host.read(f"{self.outside}/secret") == SECRET
        info = self.host.info(f"{self.outside}/secret")
        assert info is not None and (info.mode, info.gid) == (0o600, 0)


@pytest.fixture(params=["memory", "real"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "real":
        made = Place(RealHost(), str(tmp_path))
    else:
        memory = MemoryHost()
        memory.make_dirs("/base")
        made = Place(memory, "/base")
    yield made
    made.root.close()


OUT = ["absolute", "relative", "two"]


def out(place: Place, kind: str, name: str = "trap") -> str:
    """A link ``name`` that leads to ``outside``, in several ways."""
    match kind:
        case "absolute":
            place.link(name, place.outside)
        case "relative":
            place.link(name, "../host")
        case "two":
            place.link("first", "..")
            place.link(name, "first/host")
    return name


WAYS = {
    "open": lambda root, trap: root.open(f"{trap}/secret"),
    "open, following": lambda root, trap: root.open(f"{trap}/secret", follow=True),
    "read": lambda root, trap: root.read(f"{trap}/secret", 10),
    "write": lambda root, trap: root.write(f"{trap}/new", b"x"),
    "write over": lambda root, trap: root.write(trap, b"x"),
    "make directories": lambda root, trap: root.make_dirs(f"{trap}/new"),
    "make directories, following": lambda root, trap: root.make_dirs(f"{trap}/n", follow=True),
    "look at": lambda root, trap: root.info(f"{trap}/secret"),
    "look at, following": lambda root, trap: root.info(f"{trap}/secret", follow=True),
    "list": lambda root, trap: root.list(trap),
    "link": lambda root, trap: root.symlink("x", f"{trap}/new"),
    "rename from": lambda root, trap: root.rename(f"{trap}/secret", "mine"),
    "rename to": lambda root, trap: root.rename("mine", f"{trap}/secret"),
    "remove": lambda root, trap: root.remove(f"{trap}/secret"),
    "change the mode": lambda root, trap: root.chmod(f"{trap}/secret", 0o777),
    "change the mode of a link": lambda root, trap: root.chmod(trap, 0o777),
    "change the owner": lambda root, trap: root.chown(f"{trap}/secret", 1, 1),
    "bind": lambda root, trap: root.bind(f"{trap}/secret", "/nonexistent/target"),
}


@pytest.mark.parametrize("kind", OUT)
@pytest.mark.parametrize("way", WAYS)
def test_a_link_out_is_refused(place: Place, way: str, kind: str) -> None:
    trap = out(place, kind)
    place.root.write("mine", b"")
    with pytest.raises(OSError) as refused:
        WAYS[way](place.root, trap)
    assert refused.value.errno in (errno.ELOOP, errno.EXDEV, errno.EEXIST, errno.ENOTDIR)
    place.untouched()


def test_a_link_itself_can_be_removed_and_given_away(place: Place) -> None:
    trap = out(place, "absolute")
    assert place.root.readlink(trap) == place.outside
    info = place.root.info(trap)
    assert info is not None and info.kind == "link"
    place.root.remove(trap)
    assert place.root.list() == []
    place.untouched()


@pytest.mark.parametrize("path", ["..", "a/../../host/secret", "/etc/passwd", "../host/secret"])
def test_a_path_that_leads_out_is_refused(place: Place, path: str) -> None:
    with pytest.raises(OSError):
        place.root.read(path, 10)
    with pytest.raises(OSError):
        place.root.write(path, b"x")


def test_links_inside_are_followed_where_that_is_wanted(place: Place) -> None:
    place.root.make_dirs("a/b")
    place.root.write("a/b/file", b"text")
    place.link("a/up", "../a/./b")
    place.link("way", "a/up/file")
    assert place.root.read("way", 10, follow=True) == b"text"
    with pytest.raises(OSError):
        place.root.read("way", 10)
    place.link("round", "round")
    with pytest.raises(OSError) as refused:
        place.root.read("round", 10, follow=True)
    assert refused.value.errno == errno.ELOOP


NAMES = st.sampled_from(["a", "b", "d", "file", "..", "host"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "d/a", "d/b"]), PATHS, max_size=4),
    st.lists(st.sampled_from(["a", "b", "d", "file"]), min_size=1, max_size=3).map("/".join),
)
def test_links_lead_where_the_kernel_says(links: dict[str, str], path: str) -> None:
    """Both hosts, and openat2(2) with RESOLVE_BENEATH where the kernel has it."""
    with tempfile.TemporaryDirectory() as base:
        memory = MemoryHost()
        memory.make_dirs(base)
        answers = []
        for host in (RealHost(), memory):
            place = Place(host, base)
            place.root.make_dirs("d")
            place.root.write("d/file", b"inside")
            for name, target in links.items():
                place.link(name, target)
            answers.append(_answer(place.root, path))
            place.root.close()
        beneath = _beneath(f"{base}/volume", path)
    assert answers[0] == answers[1]
    assert beneath in (answers[0], "unknown")


def _answer(root: Root, path: str) -> str:
    try:
        return "not there" if root.info(path, follow=True) is None else "there"
    except OSError:
        return "not there"


def _beneath(base: str, path: str) -> str:
    """What openat2(base, path, O_PATH, RESOLVE_BENEATH) says."""
    how = struct.pack("QQQ", os.O_PATH, 0, 0x08)
    directory = os.open(base, os.O_PATH)
    found = ctypes.CDLL(None, use_errno=True).syscall(437, directory, path.encode(), how, len(how))
    os.close(directory)
    if found >= 0:
        os.close(found)
        return "there"
    refused = (errno.ENOENT, errno.ENOTDIR, errno.EXDEV, errno.ELOOP)
    return "not there" if ctypes.get_errno() in refused else "unknown"


# ---- what the kubelet does with volumes


TRAPS = ["..data", "..data_tmp", "..new", "key", "folder"]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("kind", OUT)
async def test_the_atomic_writer_writes_nothing_outside(place: Place, trap: str, kind: str) -> None:
    out(place, kind, trap)
    payload = {"key": File(b"1"), "folder/key": File(b"2", 0o640)}
    try:
        await atomic.write(place.host, place.inside, payload, "new")
        await atomic.write(place.host, place.inside, {"other": File(b"3")}, "newer")
    except OSError:
        assert trap == "..new"
    place.untouched()


async def test_the_atomic_writer_does_not_take_another_folder_for_its_own(place: Place) -> None:
    place.link("..data", "../host")
    await atomic.write(place.host, place.inside, {"secret": File(SECRET)}, "new")
    assert place.root.readlink("..data") == "..new"
    place.untouched()


async def test_the_atomic_writer_removes_only_what_it_made(place: Place) -> None:
    await atomic.write(place.host, place.inside, {"a": File(b"1")}, "1")
    place.root.make_dirs("mine")
    place.link("elsewhere", "../host")
    await atomic.write(place.host, place.inside, {"b": File(b"1")}, "2")
    assert place.root.list() == ["..2", "..data", "b", "elsewhere", "mine"]
    place.untouched()


@pytest.mark.parametrize("kind", OUT)
def test_the_group_of_a_volume_goes_to_nothing_outside(place: Place, kind: str) -> None:
    place.root.make_dirs("folder")
    place.root.write("folder/file", b"", 0o600)
    out(place, kind)
    of = pod("web", securityContext=core.PodSecurityContext(fsGroup=1234))
    ownership.apply(place.root, "", of)
    inside = place.root.info("folder/file")
    assert inside is not None and (inside.mode, inside.gid) == (0o660, 1234)
    place.untouched()


async def test_clean_up_removes_links_and_nothing_behind_them(place: Place) -> None:
    place.root.make_dirs("a/b")
    for name in ("trap", "a/trap", "a/b/trap"):
        place.link(name, place.outside)
    await place.host.remove_tree(place.inside)
    assert place.host.info(place.inside) is None
    place.untouched()
    place.host.make_dirs(f"{place.base}/pod")
    with place.host.open_root(f"{place.base}/pod") as of_pod:
        of_pod.symlink(place.outside, "volumes")
    await place.host.remove_tree(f"{place.base}/pod/volumes")
    assert place.host.list(f"{place.base}/pod") == []
    place.untouched()


async def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    """Deeper than any recursion, than a path may be long, and than there are descriptors."""
    top = tmp_path / "volume"
    top.mkdir()
    here = os.open(top, os.O_PATH)
    for _ in range(5000):
        os.mkdir("down", dir_fd=here)
        os.mkdir("empty", dir_fd=here)
        below = os.open("down", os.O_PATH, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    await RealHost().remove_tree(str(top))
    assert os.listdir(tmp_path) == []


@pytest.fixture(params=["pipe", "socket", "directory", "null"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "special"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
        case "directory":
            path.mkdir()
        case "null":
            if os.geteuid() != 0:
                pytest.skip("devices need root")
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    return path


def test_only_regular_files_are_opened_and_nobody_waits(special: Path) -> None:
    host = RealHost()
    with host.open_root(str(special.parent)) as root:
        for ask in (lambda: root.open(special.name), lambda: root.open(special.name, follow=True)):
            with pytest.raises(OSError, match="not a regular file"):
                ask()
    with pytest.raises(OSError, match="not a regular file"):
        host.read_tail(str(special), 10)
    with pytest.raises(OSError):
        LogFiles(host, str(special.parent)).open(str(special))


@pytest.mark.parametrize("kind", OUT)
def test_logs_are_read_from_no_other_place(place: Place, kind: str) -> None:
    out(place, kind, "ns_web_1")
    logs = LogFiles(place.host, place.inside)
    for ask in (logs.open, logs.info, lambda path: logs.tail(path, 10)):
        with pytest.raises(OSError):
            ask(f"{place.inside}/ns_web_1/secret")
        with pytest.raises(OSError):
            ask(f"{place.outside}/secret")


# ---- the same, by a pod


def emptied() -> core.Volume:
    return core.Volume(name="v", emptyDir=core.EmptyDirVolumeSource())


def mounted(path: str) -> core.VolumeMount:
    return core.VolumeMount(name="v", mountPath="/v", subPath=path)


async def with_traps(node: Node, spec: core.Container) -> None:
    """A pod whose sidecar has put traps into its volume before ``main`` is about to start."""
    node.host.make_dirs("/srv")
    node.host.write("/srv/env", b"KEY='of the host'\n", 0o600)
    ready: list[Root] = []

    def behave(container: object, sandbox: object) -> None:
        for uid in node.host.list("/var/lib/kubelet/pods"):
            path = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/v"
            if node.host.info(path) is not None and not ready:
                ready.append(node.host.open_root(path))
                ready[0].symlink("/srv", "trap")
                ready[0].symlink("/srv/new", "dangling")
                ready[0].symlink("../../../../../../../srv", "up")

    node.cri._behave = behave
    first = container("first", volumeMounts=[core.VolumeMount(name="v", mountPath="/v")])
    first.restartPolicy = "Always"
    await node.api.put(pod("web", spec, initContainers=[first], volumes=[emptied()]))
    await node.until(lambda: waiting(node) == "CreateContainerConfigError")
    assert node.host.list("/srv") == ["env"]


def waiting(node: Node) -> str:
    statuses = node.api.pod("web").status.containerStatuses
    state = statuses[0].state.waiting if statuses else None
    return (state.reason or "") if state is not None else ""


def message(node: Node) -> str:
    state = node.container("web").state.waiting
    return (state.message or "") if state is not None else ""


@pytest.mark.parametrize("path", ["trap", "up", "trap/env"])
def test_a_sub_path_that_is_a_link_out_is_not_mounted(path: str) -> None:
    async def story(node: Node) -> None:
        await with_traps(node, container("main", volumeMounts=[mounted(path)]))
        assert message(node) == (
            'failed to prepare subPath for volumeMount "v" of container "main"'
        )

    play(story)


@pytest.mark.parametrize("path", ["dangling", "trap/made/by/us", "up/made"])
def test_a_sub_path_makes_nothing_outside(path: str) -> None:
    async def story(node: Node) -> None:
        await with_traps(node, container("main", volumeMounts=[mounted(path)]))
        assert message(node).endswith('subPath for volumeMount "v" of container "main"') or (
            message(node).endswith('subPath directory for volumeMount "v" of container "main"')
        )

    play(story)


@pytest.mark.parametrize("path", ["trap/env", "up/env"])
def test_an_env_file_is_read_from_no_other_place(path: str) -> None:
    async def story(node: Node) -> None:
        ref = core.FileKeySelector(volumeName="v", path=path, key="KEY")
        variable = core.EnvVar(name="KEY", valueFrom=core.EnvVarSource(fileKeyRef=ref))
        await with_traps(node, container("main", env=[variable]))
        assert message(node) == "couldn't parse env file"

    play(story)


def test_the_helper_is_the_only_way_into_a_volume() -> None:
    """No part of the kubelet opens, makes or removes files but through the host's contract."""
    folder = Path(roots.__file__).parent.parent
    allowed = {"host", "cgroups", "node", "server"}
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0] in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {a.name for a in node.names} & {"os", "shutil", "tempfile"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "open", path
