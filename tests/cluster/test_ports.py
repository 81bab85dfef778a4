"""Which port a new cluster gets."""

import socket
from pathlib import Path

import pytest

from trireme.cluster import ports, settings
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings


def test_a_port_in_use_and_one_of_a_cluster_that_is_away_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST", first)
        free = ports.first_free()
        assert free > first
        assert ports.first_free({free}) > free


def test_ports_of_the_components_are_free_both(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # The scheduler's would be the one that is taken.
        first = taken.getsockname()[1] - 2
        monkeypatch.setattr(ports, "COMPONENTS", first)
        free = ports.components()
        assert free > first and (free - first) % ports.STEP == 0
        assert ports.components({free}) > free


def test_the_ports_of_all_clusters(tmp_path: Path) -> None:
    places = Places(state=str(tmp_path), run=str(tmp_path / "run"))
    assert settings.ports(places) == set()
    for name, port in (("a", 6443), ("b", 6500)):
        folder = str(tmp_path / name)
        made = Settings(
            name=name,
            state_dir=folder,
            run_dir=folder,
            datastore="memory",
            port=port,
            component_port=port + 1 if name == "a" else 0,
        )
        settings.save(made)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/cluster.json").write_text("{")
    assert settings.ports(places) == {6443, 6444, 6500}
