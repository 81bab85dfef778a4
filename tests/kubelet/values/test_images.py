"""Credentials for images, and which images go first."""

from __future__ import annotations

import msgspec
import pytest

from trireme.api.core import v1 as core
from trireme.kubelet.cri import model
from trireme.kubelet.gc import plan as gc
from trireme.kubelet.host.contract import DiskUsage
from trireme.kubelet.images import credentials


def test_credentials_match_hosts_and_paths() -> None:
    config = {
        "auths": {
            "https://index.docker.io/v1/": {"auth": "dTpw"},
            "*.example.org/team": {"username": "t", "password": "x"},
        }
    }
    secret = core.Secret(
        type=credentials.DOCKER_JSON, data={".dockerconfigjson": msgspec.json.encode(config)}
    )
    (found,) = credentials.matching([secret], "docker.io/library/busybox")
    assert (found.username, found.password) == ("u", "p")
    assert credentials.matching([secret], "r.example.org/team/app")[0].username == "t"
    assert credentials.matching([secret], "r.example.org/other") == []


@pytest.mark.parametrize(
    ("kind", "key", "document"),
    [
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": {"docker.io": "u:p"}}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": {"docker.io": {"auth": 1}}}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": ["docker.io"]}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b"[]"),
        (credentials.DOCKER_CFG, ".dockercfg", b'{"docker.io": ["u", "p"]}'),
        (credentials.DOCKER_CFG, ".dockercfg", b'"'),
    ],
)
def test_pull_secrets_of_another_shape_are_refused(kind: str, key: str, document: bytes) -> None:
    secret = core.Secret(type=kind, data={key: document})
    with pytest.raises(ValueError, match="cannot be read"):
        credentials.matching([secret], "docker.io/library/busybox")


@pytest.mark.parametrize("auths", [b"null", b'{"docker.io": null}', b'{"docker.io": {}}'])
def test_pull_secrets_may_hold_nothing(auths: bytes) -> None:
    document = b'{"auths": %s}' % auths
    secret = core.Secret(type=credentials.DOCKER_JSON, data={".dockerconfigjson": document})
    assert credentials.matching([secret], "docker.io/library/busybox") == []


def test_image_garbage_goes_oldest_first() -> None:
    images = [model.Image(id=i, size=10) for i in ("a", "b", "c")]
    uses = {"a": gc.ImageUse(0, 50), "b": gc.ImageUse(0, 10), "c": gc.ImageUse(95, 0)}
    full = DiskUsage(100, 10, 0, 0)
    assert gc.images_to_remove(images, uses, {"x"}, full, high=85, low=80, min_age=20, now=100) == [
        "b"
    ]
    assert gc.images_to_remove(images, uses, {"b"}, full, high=85, low=80, min_age=20, now=100) == [
        "a"
    ]
    assert (
        gc.images_to_remove(
            images, uses, (), DiskUsage(100, 50, 0, 0), high=85, low=80, min_age=0, now=100
        )
        == []
    )
