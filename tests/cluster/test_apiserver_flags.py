"""The API server's flags: read alike by ``trireme apiserver`` and ``--kube-apiserver-arg``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.cluster import apiserver_flags, compose, provision, settings, up
from trireme.cluster.command_line import cli
from trireme.cluster.commands import _standalone, apiserver
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.cluster.up import UpOptions
from trireme.store.memory import MemoryStore

PLAIN = ApiServerConfig(store=MemoryStore(), service_accounts=ServiceAccountKeys(b""))


def test_flags_reach_the_configuration() -> None:
    config = apiserver_flags.configured(
        PLAIN,
        (
            "max-requests-inflight=3",
            "runtime-config=api/beta=true",
            "runtime-config=autoscaling/v1=false",
            "feature-gates=CBORServingAndStorage=true",
            "enable-bootstrap-token-auth",
        ),
    )
    assert config.max_in_flight == 3
    assert config.runtime_config == {"api/beta": True, "autoscaling/v1": False}
    assert config.feature_gates == {"CBORServingAndStorage": True}
    assert config.authentication.bootstrap_tokens


@pytest.mark.parametrize(
    ("arg", "problem"),
    [
        ("max-request-inflight=1", r"unknown flag: --max-request-inflight \(is it --max-requests-"),
        ("nonsense=1", "unknown flag: --nonsense$"),
        ("max-requests-inflight", "flag needs an argument: --max-requests-inflight"),
        ("max-requests-inflight=x", "invalid argument 'x' for --max-requests-inflight: must be"),
        ("feature-gates=No=true", "--feature-gates: unrecognized feature gate: No"),
    ],
)
def test_what_is_wrong_is_refused_by_name(arg: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        apiserver_flags.check(apiserver_flags.read([arg]))
    with pytest.raises(click.UsageError, match=problem.replace("^", "")):
        cli.main(["up", "--kube-apiserver-arg", arg], standalone_mode=False)


def test_every_flag_is_of_one_area() -> None:
    names = [row.name for row in apiserver_flags.rows()]
    assert len(names) == len(set(names))
    options = [name for item in apiserver.COMMAND.params for name in item.opts]
    assert len(options) == len(set(options))


def test_up_and_the_command_alone_keep_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: list[tuple[str, ...]] = []

    class Enough(Exception):
        pass

    def composed(cluster: Settings) -> Any:
        found.append(cluster.kube_apiserver_args)
        raise Enough

    def upped(options: UpOptions, stages: object) -> Any:
        found.append(options.kube_apiserver_args)
        raise Enough

    monkeypatch.setattr(compose, "api_server", composed)
    monkeypatch.setattr(_standalone, "run", lambda name, main: main(None).send(None))
    monkeypatch.setattr(up, "up", upped)
    alone = ["apiserver", "--state-dir", str(tmp_path / "s"), "--max-requests-inflight", "7"]
    for words in (alone, ["up", "--kube-apiserver-arg", "max-requests-inflight=7"]):
        with pytest.raises(Enough):
            cli.main(words, standalone_mode=False)
    assert found == [("max-requests-inflight=7",)] * 2


def test_a_cluster_keeps_its_flags_until_others_are_given(tmp_path: Path) -> None:
    places = Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    options = UpOptions(name="a", kube_apiserver_args=("max-requests-inflight=7",))
    first = provision._settings(options, None, places, 1, None)
    assert first.kube_apiserver_args == ("max-requests-inflight=7",)
    again = provision._settings(UpOptions(name="a"), first, places, 1, None)
    assert again.kube_apiserver_args == first.kube_apiserver_args
    other = msgspec.structs.replace(options, kube_apiserver_args=("max-requests-inflight=8",))
    assert provision._settings(other, first, places, 1, None).kube_apiserver_args == (
        "max-requests-inflight=8",
    )


def test_a_running_cluster_takes_no_other_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    kept = provision._settings(UpOptions(name="a"), None, places, 1, None)
    monkeypatch.setattr(up, "default_places", lambda: places)
    monkeypatch.setattr(settings, "load", lambda *_: kept)
    monkeypatch.setattr(up, "_runs", lambda _: True)
    options = UpOptions(name="a", kube_apiserver_args=("max-requests-inflight=7",))
    with pytest.raises(up.CannotStart, match="runs already, with other flags"):
        up.up(options, lambda: None)  # type: ignore[arg-type,return-value]  # never called
