"""Providers are found by name; the example of the how-to keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud import suite
from tests.cloud.test_memory_cloud import node, service
from trireme.cloud import providers
from trireme.cloud.contract import Cloud, ProviderFailure
from trireme.cloud.providers import ProviderArguments, UnknownProvider
from trireme.kit.env import Env

EXAMPLE = Path(__file__).parents[2] / "examples" / "cloud_provider"


async def test_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    config = tmp_path / "addresses.txt"
    config.write_text("192.0.2.1\n192.0.2.2\n")
    find = providers.find("static_addresses:make")

    def make() -> Cloud:
        return find(ProviderArguments(Env(), "kubernetes", config))

    await suite.check_load_balancers(make, [service("x"), service("y")], [node("a"), node("b")])
    balancers = make().load_balancers
    assert balancers is not None
    for name in ("x", "y"):
        await balancers.ensure_load_balancer("kubernetes", service(name), ())
    with pytest.raises(ProviderFailure, match="no address is left"):
        await balancers.ensure_load_balancer("kubernetes", service("z"), ())
    with pytest.raises(ValueError, match="--cloud-config"):
        find(ProviderArguments(Env(), "kubernetes"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aws", "not MODULE:FUNCTION"),
        ("no.such.module:make", "No module named 'no'"),
        ("json:nothing", "json has no function 'nothing'"),
        ("json:__doc__", "json has no function '__doc__'"),
    ],
)
def test_a_provider_that_is_not_there(name: str, reason: str) -> None:
    with pytest.raises(UnknownProvider, match=reason):
        providers.find(name)
