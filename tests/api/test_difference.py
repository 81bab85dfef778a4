"""How objects differ: a unified diff of what upstream's internal types look like, within bounds."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from trireme.api import difference
from trireme.api.core.v1.persistentvolume_types import PersistentVolumeSpec
from trireme.api.core.v1.pod.container import Container, EnvVar
from trireme.api.core.v1.pod.security import PodSecurityContext
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.volumesources import HostPathVolumeSource
from trireme.machinery import internal

LINES = st.lists(st.sampled_from([f"{n}\n" for n in range(6)]), max_size=30)


@given(LINES, LINES)
def test_small_ones_are_those_of_difflib(old: list[str], new: list[str]) -> None:
    expected = list(difflib.unified_diff(old, new))[2:]
    assert list(difference.unified(old, new)) == expected


def patched(old: list[str], diff: list[str]) -> list[str]:
    """``old`` with the hunks of a unified diff applied, as ``patch`` does."""
    new: list[str] = []
    at = 0
    for line in diff:
        if line[0] == "@":
            start, _, count = line.split()[1].lstrip("-").partition(",")
            hunk = int(start) - (count != "0")
            new += old[at:hunk]
            at = hunk
        elif line[0] == "+":
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            new += [line[1:]] if line[0] == " " else []
            at += 1
    return new + old[at:]


@given(st.integers(0, 9_000), st.integers(0, 9_000), LINES, LINES)
def test_a_difference_deep_in_long_ones(
    before: int, after: int, old: list[str], new: list[str]
) -> None:
    head, tail = [f"h{n}\n" for n in range(before)], [f"t{n}\n" for n in range(after)]
    hunks = list(difference.unified(head + old + tail, head + new + tail))
    # difflib's own answer may be another one: neither is the shortest. Each has to lead to the new.
    assert patched(head + old + tail, hunks) == head + new + tail
    assert bool(hunks) == (old != new)


def test_a_pod_is_converted_to_the_internal_type() -> None:
    spec = PodSpec(
        containers=[Container(name="c", env=[EnvVar(name="A", value="<")])],
        hostNetwork=True,
        serviceAccount="x",
        serviceAccountName="x",
        securityContext=PodSecurityContext(runAsUser=1),
    )
    form = internal.form(spec)
    assert "HostNetwork" not in form
    assert "ServiceAccount" not in form
    assert list(form["SecurityContext"])[:6] == [
        "HostNetwork",
        "HostPID",
        "HostIPC",
        "ShareProcessNamespace",
        "HostUsers",
        "SELinuxOptions",
    ]
    assert (form["SecurityContext"]["HostNetwork"], form["SecurityContext"]["RunAsUser"]) == (
        True,
        1,
    )
    assert (form["DNSPolicy"], form["Volumes"], form["Containers"][0]["TTY"]) == ("", None, False)


def test_a_part_of_a_struct() -> None:
    old = PersistentVolumeSpec(storageClassName="a", hostPath=HostPathVolumeSource(path="/<a>"))
    new = PersistentVolumeSpec(storageClassName="b", hostPath=HostPathVolumeSource(path="/b"))
    text = difference.text(old, new, ["hostPath"])
    assert text == (
        '@@ -1,6 +1,6 @@\n {\n  "HostPath": {\n-  "Path": "/\\u003ca\\u003e",\n+  "Path": "/b",\n'
        '   "Type": null\n  }\n }\n'
    )
