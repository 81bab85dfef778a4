"""``--controllers``: the names of upstream's controllers, and what its words switch on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from trireme.cluster import cloud_controllers
from trireme.controllers import manager, names

UPSTREAM = tomllib.loads(
    (Path(__file__).parents[2] / "scripts" / "upstream-names.toml").read_text()
)["controllers"]
KNOWN = {"job-controller": True, "ttl-controller": True, "token-x-controller": False}


def test_each_controller_has_the_name_and_the_account_of_upstreams():
    here = manager.definitions()
    assert {item.name for item in here} | set(names.MISSING) == set(UPSTREAM)
    assert {item.name for item in here} & set(names.MISSING) == set()
    assert {item.name for item in here if item.on_by_default and not item.gate} == {
        name for name, row in UPSTREAM.items() if row["on"]
    } - set(names.MISSING)
    for item in here:
        assert item.as_manager or item.account == UPSTREAM[item.name]["account"], item.name


def test_an_alias_stands_for_a_controller_of_upstreams():
    assert set(names.ALIASES.values()) <= set(UPSTREAM) | cloud_controllers.names()


def test_the_controllers_of_the_cloud_have_upstreams_names_and_aliases():
    known = cloud_controllers.names()
    assert known == {
        "cloud-node-controller",
        "cloud-node-lifecycle-controller",
        "node-route-controller",
        "service-lb-controller",
    }
    selection = names.Selection(["*", "-cloud-node", "-cloud-node-lifecycle", "-route"], known)
    assert [name for name in known if selection.enables(name, True)] == ["service-lb-controller"]


@pytest.mark.parametrize(
    ("words", "running"),
    [
        (["*"], ["job-controller", "ttl-controller"]),
        ([], []),
        (["job-controller"], ["job-controller"]),
        (["*", "-job-controller"], ["ttl-controller"]),
        (["-ttl-controller"], []),
        (["*", "token-x-controller"], list(KNOWN)),
        # The first word of two for one controller counts, as upstream's.
        (["job-controller", "-job-controller"], ["job-controller"]),
        (["*", "-job", "job-controller"], ["ttl-controller"]),
        (["ttl"], ["ttl-controller"]),
        # Of what is not here, nothing is lost by switching it off.
        (["*", "-service-lb-controller", "-route"], ["job-controller", "ttl-controller"]),
    ],
)
def test_the_words_switch_controllers_on_and_off(words: Iterable[str], running: list[str]):
    selection = names.Selection(words, KNOWN)
    assert [name for name, default in KNOWN.items() if selection.enables(name, default)] == running


def test_a_name_that_no_controller_has_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r'"typo" is not in the list of known .*job-controller'):
        names.Selection(["*", "-typo"], KNOWN)


def test_what_is_not_here_is_not_switched_on():
    name, reason = next(iter(names.MISSING.items()))
    with pytest.raises(ValueError, match=f"{name} cannot be switched on: {reason}"):
        names.Selection(["*", name], KNOWN)
