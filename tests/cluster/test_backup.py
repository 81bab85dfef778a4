"""A cluster's state goes into one file, and a new cluster is made of it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from trireme.cluster import backup, settings
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.store.contract import CannotOpen, Compacted, Value
from trireme.store.sqlite import SqliteStore

VALUE = Value(b"x@", b".")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))


def made(places: Places, name: str = "one", datastore: str = "") -> Settings:
    """A cluster with keys, as ``up`` leaves it."""
    folder = Path(places.state, name)
    cluster = Settings(
        name=name,
        state_dir=str(folder),
        run_dir=f"{places.run}/{name}",
        datastore=datastore or f"sqlite:{folder}/state.db",
        port=6443,
    )
    settings.save(cluster)
    cluster.pki_dir.mkdir()
    (cluster.pki_dir / "sa.key").write_text("secret")
    return cluster


async def fill(cluster: Settings) -> int:
    async with SqliteStore(cluster.datastore.removeprefix("sqlite:")) as store:
        for number in range(20):
            await store.create(f"/r/{number}", VALUE)
        await store.update("/r/1", VALUE)
        await store.delete("/r/2")
        return store.revision


def corrupt(path: Path) -> None:
    data = path.read_bytes()
    at = data.rindex(b"x@")
    path.write_bytes(data[:at] + b"y" + data[at + 1 :])


async def test_what_was_there_is_there_again(places: Places, tmp_path: Path):
    cluster = made(places)
    revision = await fill(cluster)
    archive = tmp_path / "backup"
    assert backup.backup("one", archive, places) == 19
    assert archive.stat().st_mode & 0o777 == 0o600
    assert backup.restore("two", archive, places) == 19
    folder = Path(places.state, "two")
    assert (folder / "pki/sa.key").read_text() == "secret"
    assert (folder / "state.db").stat().st_mode & 0o777 == 0o600
    async with SqliteStore(folder / "state.db") as store:
        assert store.revision == store.compacted == revision + backup.BUMP
        with pytest.raises(Compacted):
            store.watch("/r/", revision)
        items = store.list("/r/").items
        assert len(items) == 19
        assert {item.revision for item in items} <= set(range(2, revision + 1))
        assert (await store.create("/r/new", VALUE)).revision == revision + backup.BUMP + 1
        await store.compact(store.revision)
    async with SqliteStore(folder / "state.db") as store:
        assert store.count("/r/") == 20


async def test_what_is_not_empty_is_not_restored_into(places: Places, tmp_path: Path):
    await fill(made(places))
    archive = tmp_path / "backup"
    backup.backup("one", archive, places)
    with pytest.raises(backup.CannotBackUp, match="is not empty"):
        backup.restore("one", archive, places)
    with pytest.raises(backup.CannotBackUp, match="exists"):
        backup.backup("one", archive, places)


async def test_what_cannot_be_backed_up_is_said(places: Places, tmp_path: Path):
    with pytest.raises(backup.CannotBackUp, match="no cluster none"):
        backup.backup("none", tmp_path / "b", places)
    made(places, "memory", "memory")
    with pytest.raises(backup.CannotBackUp, match="in memory"):
        backup.backup("memory", tmp_path / "b", places)
    made(places, "etcd", "etcd")
    with pytest.raises(backup.CannotBackUp, match="etcdctl snapshot save"):
        backup.backup("etcd", tmp_path / "b", places)


async def test_a_file_that_is_corrupt_is_neither_written_nor_restored(
    places: Places, tmp_path: Path
):
    cluster = made(places)
    await fill(cluster)
    corrupt(Path(cluster.datastore.removeprefix("sqlite:")))
    with pytest.raises(CannotOpen, match="corrupt"):
        backup.backup("one", tmp_path / "b", places)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("names", [[], ["state.db"], ["../evil"], ["/etc/evil"]])
def test_what_is_no_backup(places: Places, tmp_path: Path, names: list[str]):
    archive = tmp_path / "archive"
    content = tmp_path / "content"
    content.write_text("x")
    with tarfile.open(archive, "w") as tar:
        for name in names:
            tar.add(content, name)
    with pytest.raises(backup.CannotBackUp, match="is no backup"):
        backup.restore("two", archive, places)
    archive.write_bytes(b"rubbish")
    with pytest.raises(backup.CannotBackUp, match="is no backup"):
        backup.restore("two", archive, places)
    assert not Path(places.state, "two").exists() or not any(Path(places.state, "two").iterdir())
    assert not (tmp_path / "evil").exists()
