"""What is staged and published on a node, kept on its disk.

In: paths under the kubelet's root. Out: ``Record``. Called by ``volumes/csi``. A kubelet that
starts again finds here which driver to ask to take a volume down; the files are upstream's
``vol_data.json``, with its keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from trireme.kubelet import podspec
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes.csi import arguments

# Bytes that are read of a file: a driver mounts close by.
LIMIT = 1 << 20
POD_DIR = "volumes/kubernetes.io~csi"
POD_DEVICES_DIR = "volumeDevices/kubernetes.io~csi"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A volume. ``mode``: its lifecycle; in the record of a stage, "" ."""

    driver: str = msgspec.field(default="", name="driverName")
    handle: str = msgspec.field(default="", name="volumeHandle")
    name: str = msgspec.field(default="", name="specVolID")
    node: str = msgspec.field(default="", name="nodeName")
    mode: str = msgspec.field(default="", name="volumeLifecycleMode")
    attachment: str = msgspec.field(default="", name="attachmentID")

    @property
    def key(self) -> tuple[str, str]:
        return self.driver, self.handle


def write(host: Host, directory: str, record: Record) -> None:
    host.make_dirs(directory, 0o750)
    host.write(f"{directory}/{arguments.DATA}", msgspec.json.encode(record), 0o600)


def read(host: Host, directory: str) -> Record | None:
    """``None`` where there is none, or a file that a crash left half written."""
    path = f"{directory}/{arguments.DATA}"
    if host.info(path) is None:
        return None
    file = host.open(path)
    try:
        return msgspec.json.decode(file.read(LIMIT), type=Record)
    except msgspec.MsgspecError:
        return None
    finally:
        file.close()


def staged(host: Host, root: str) -> Iterator[Record]:
    """The volumes that are staged, or were about to be."""
    plugin_dir = f"{root}/{arguments.PLUGIN_DIR}"
    for driver in host.list(plugin_dir):
        if driver == "volumeDevices":
            continue
        for digest in host.list(f"{plugin_dir}/{driver}"):
            record = read(host, f"{plugin_dir}/{driver}/{digest}")
            if record is not None:
                yield record
    blocks = arguments.block_dir(root)
    for name in host.list(blocks):
        record = read(host, f"{blocks}/{name}/data")
        if record is not None:
            yield record


def published(host: Host, root: str) -> Iterator[tuple[str, Record]]:
    """The volumes of all pods that have directories: the pod's UID, and the volume."""
    for uid in host.list(f"{root}/pods"):
        for record in of_pod(host, root, uid):
            yield uid, record


def of_pod(host: Host, root: str, uid: str) -> Iterator[Record]:
    """A pod's volumes with a file system."""
    directory = f"{podspec.directory(root, uid)}/{POD_DIR}"
    for name in host.list(directory):
        record = read(host, f"{directory}/{name}")
        if record is not None:
            yield record
