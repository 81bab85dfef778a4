"""What containerd says of images and of itself in its verbose answers."""

from __future__ import annotations

import pytest

from trireme.kubelet.cri import info


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"chainID":"sha256:ab","imageSpec":{}}', "sha256:ab"),
        ('{"imageSpec":{}}', ""),
        ("", ""),
        ("[]", ""),
    ],
)
def test_the_chain_of_an_image(text: str, expected: str) -> None:
    assert info.chain_id(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"containerd":{"snapshotter":"overlayfs"},"cni":{}}', "overlayfs"),
        ('{"containerd":{}}', ""),
        ("{}", ""),
        ("no JSON", ""),
    ],
)
def test_the_snapshotter(text: str, expected: str) -> None:
    assert info.snapshotter(text) == expected
