"""The checks against pods that upstream's kube-apiserver v1.36.2 was asked about.

``upstream.jsonl``: pods that a generator made, a level and version, and what upstream said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.pod_security import evaluate, levels
from trireme.apiserver.admission.pod_security.levels import LevelVersion

CASES = [json.loads(line) for line in Path(__file__).with_name("upstream.jsonl").open()]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_what_a_level_forbids(case: dict[str, Any]) -> None:
    metadata = {"annotations": case["annotations"]}
    pod = msgspec.convert({"metadata": metadata, "spec": case["spec"]}, Pod)
    version = levels.version(case["version"])
    assert version is not None
    found = evaluate.violations(LevelVersion(case["level"], version), pod.metadata, pod.spec)
    assert evaluate.detail(found) == case["detail"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latest", levels.LATEST),
        ("v1.0", 0),
        ("v1.36", 36),
        ("v1.01", None),
        ("v2.0", None),
        ("1.2", None),
        ("v1.2.3", None),
        ("", None),
    ],
)
def test_versions(text: str, expected: int | None) -> None:
    assert levels.version(text) == expected
