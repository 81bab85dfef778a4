"""What is read of a kubelet's /metrics/resource, and what was used between two answers."""

from __future__ import annotations

import pytest

from trireme.apiserver.resource_metrics import usage
from trireme.apiserver.resource_metrics.usage import Sample, Scrape, Usage

TEXT = """\
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="web-1"} 12.5 1700000000500
container_cpu_usage_seconds_total{container="log",namespace="shop",pod="web-1"} 1e-3 1700000001000
container_memory_working_set_bytes{container="web",namespace="shop",pod="web-1"} 1.048576e+06 1700
container_memory_working_set_bytes{container="log",namespace="shop",pod="web-1"} 2048
container_start_time_seconds{container="web",namespace="shop",pod="web-1"} 1.6e+09
node_cpu_usage_seconds_total 99.5 1700000002000
node_memory_working_set_bytes 5e+06 1700000002000
pod_cpu_usage_seconds_total{namespace="shop",pod="web-1"} 12.6
resource_scrape_error 0
"""


def read(text: str, now: float = 7.0) -> tuple[Scrape, int]:
    """The samples, and how many steps that took."""
    steps = 0
    reading = usage.read(text, now)
    while True:
        try:
            next(reading)
            steps += 1
        except StopIteration as done:
            return done.value, steps


def test_an_answer_of_upstreams_kubelet() -> None:
    scrape, _ = read(TEXT)
    assert scrape.node == Sample(1_700_000_002.0, 99.5, 5e6)
    assert scrape.pods == {
        ("shop", "web-1"): {
            "web": Sample(1_700_000_000.5, 12.5, 1_048_576),
            "log": Sample(1_700_000_001.0, 0.001, 2048),
        }
    }


def test_a_sample_without_a_time_is_of_now() -> None:
    scrape, _ = read("node_cpu_usage_seconds_total 1\nnode_memory_working_set_bytes 2\n", 42.0)
    assert scrape.node == Sample(42.0, 1.0, 2.0)


@pytest.mark.parametrize(
    "line",
    [
        "node_cpu_usage_seconds_total x",
        "node_cpu_usage_seconds_total 1e",
        "node_cpu_usage_seconds_total",
        "node_cpu_usage_seconds_total{ 1",
        "\0",
        'container_cpu_usage_seconds_total{container="a"b} ----',
    ],
)
def test_lines_that_are_none_are_passed_over(line: str) -> None:
    assert not read(line + "\n")[0].node.whole


def test_a_long_answer_is_read_in_steps() -> None:
    assert read("x 1\n" * (usage.AT_ONCE * 10))[1] == 10


BEFORE = Sample(100.0, 5.0, 1000)


@pytest.mark.parametrize(
    ("after", "used"),
    [
        (Sample(110.0, 10.0, 3000), Usage(110.0, 10.0, 500_000_000, 3000)),
        (Sample(100.5, 5.0, 0), Usage(100.5, 0.5, 0, 0)),
        (Sample(100.0, 6.0, 1000), None),
        (Sample(110.0, 4.0, 1000), None),  # a container that has started anew
        (Sample(110.0, 6.0), None),
        (Sample(110.0, float("inf"), 1000), None),
    ],
)
def test_between_two_samples(after: Sample, used: Usage | None) -> None:
    assert usage.between(BEFORE, after) == used


def test_a_pod_is_measured_when_all_its_containers_are() -> None:
    after = Sample(110.0, 6.0, 1)
    one = usage.between(BEFORE, after)
    assert usage.of_pod({"a": BEFORE}, {"a": after}) == {"a": one}
    assert usage.of_pod({"a": BEFORE}, {"a": after, "b": after}) is None
    assert usage.of_pod({}, {}) is None
