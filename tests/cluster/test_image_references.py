"""Short image names and their full forms."""

import pytest

from trireme.cluster.images import reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("me/app", "docker.io/me/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}"),
        ("a/b/c__d--e.f:T", "docker.io/a/b/c__d--e.f:T"),
    ],
)
def test_full_form(short, full):
    assert reference.normalise(short) == full
    assert reference.normalise(full) == full


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ("", "name ''"),
        ("Busybox", "name 'Busybox'"),
        ("busybox:", "tag ''"),
        ("busybox:-1", "tag '-1'"),
        ("a//b", "name 'a//b'"),
        ("busybox@sha256:12", "digest 'sha256:12'"),
        ("-x.y/app", "registry '-x.y'"),
    ],
)
def test_what_is_wrong_is_named(bad, part):
    with pytest.raises(ValueError, match=part):
        reference.parse(bad)
