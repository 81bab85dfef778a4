"""The state of a local cluster in one file, and a cluster made of it.

In: a cluster's name. Out: a tar archive with the store's file and the keys, or these in the state
folder of a cluster that is not there yet. Values that are encrypted at rest stay so. Called by the
commands ``backup`` and ``restore``.

While the copy is made the API server is stopped for a moment: what is on the disk then is what a
``kill -9`` would leave, which the store opens as it was at that instant. Restored, its revisions go
on far above those of before, and all history is compacted: whoever watches gets 410 and lists
anew, as after etcd's --bump-revision and --mark-compacted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trireme.cluster import lock, settings
from trireme.cluster.hosts import spawn
from trireme.cluster.hosts.names import cluster as check_name
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.store.sqlite.file import StoreFile

# What restored revisions are higher by: etcd's own default is as high.
BUMP = 1_000_000_000
STORE, KEYS = "state.db", "pki"


class CannotBackUp(ValueError):
    """The text has the reason and what to do instead."""


def backup(name: str, target: Path, places: Places) -> int:
    """Write the archive, whole or not at all; the number of objects in it. CannotBackUp,
    CannotOpen, OSError."""
    kept = settings.load(name, places)
    if kept is None:
        raise CannotBackUp(f"there is no cluster {name}")
    if target.exists():
        raise CannotBackUp(f"{target} exists")
    source = _store(kept)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-") as folder:
        copy = Path(folder, STORE)
        with _stopped(kept):
            for suffix in ("", "-wal"):
                part = Path(f"{source}{suffix}")
                if part.exists():
                    shutil.copyfile(part, f"{copy}{suffix}")
        count = _check(copy)
        archive = Path(folder, "archive")
        os.close(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with tarfile.open(archive, "w") as tar:
            tar.add(copy, STORE)
            tar.add(kept.pki_dir, KEYS)
        archive.rename(target)
    return count


def restore(name: str, archive: Path, places: Places) -> int:
    """Make the state of a new cluster; ``up`` starts it. The number of objects. CannotBackUp,
    CannotOpen, OSError."""
    folder = Path(places.state, check_name(name))
    with lock.held(name, places):
        if folder.exists() and any(folder.iterdir()):
            raise CannotBackUp(f"{folder} is not empty: restore into a cluster that is not there")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as made:
            try:
                with tarfile.open(archive) as tar:
                    tar.extractall(made, filter="data")
            except tarfile.TarError as error:
                raise CannotBackUp(f"{archive} is no backup: {error}") from None
            store, keys = Path(made, STORE), Path(made, KEYS)
            if not store.is_file() or not keys.is_dir():
                raise CannotBackUp(f"{archive} is no backup: it has no {STORE} and {KEYS}")
            count = _check(store)
            _bump(store)
            store.chmod(0o600)
            keys.chmod(0o700)
            keys.rename(folder / KEYS)
            store.rename(folder / STORE)
    return count


def _store(cluster: Settings) -> Path:
    kind, _, path = cluster.datastore.partition(":")
    if kind == "etcd":
        raise CannotBackUp(
            f"cluster {cluster.name} is in etcd: 'etcdctl snapshot save' backs it up, with the "
            f"certificates etcd-ca.crt, etcd-client.crt and etcd-client.key of {cluster.pki_dir}"
        )
    if kind != "sqlite":
        raise CannotBackUp(f"cluster {cluster.name} is in memory: there is nothing to back up")
    return Path(path)


@contextlib.contextmanager
def _stopped(cluster: Settings) -> Iterator[None]:
    """The API server does not run meanwhile, where it does otherwise."""
    running = [
        one
        for one in spawn.records(cluster.records_dir)
        if one.name == "apiserver" and spawn.alive(one)
    ]
    handles = [os.pidfd_open(one.pid) for one in running]
    try:
        for handle in handles:
            signal.pidfd_send_signal(handle, signal.SIGSTOP)
        for one in running:
            _wait_stopped(one.pid)
        yield
    finally:
        for handle in handles:
            signal.pidfd_send_signal(handle, signal.SIGCONT)
            os.close(handle)


def _wait_stopped(pid: int) -> None:
    """Until each thread of a process has stopped: a write that is under way ends first."""
    tasks = Path(f"/proc/{pid}/task")
    while any(_state(task) not in "TtZX" for task in tasks.iterdir()):
        os.sched_yield()


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def _check(path: Path) -> int:
    """Read all of a store's file, by its checksums, and put its log into it. CannotOpen."""
    file = StoreFile.open(path)
    try:
        return len(file.load(path).items)
    finally:
        file.close()


def _bump(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE compaction SET revision = "
            "max(revision, coalesce((SELECT max(revision) FROM log), 0)) + ?",
            (BUMP,),
        )
