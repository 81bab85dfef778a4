"""AdmissionConfiguration: whose configuration is where; what is wrong is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from trireme.apiserver.settings import admission

HEAD = b"apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n"


def read(path: str) -> bytes:
    return f"content of {path}".encode()


def test_embedded_by_path_and_none() -> None:
    data = (
        HEAD
        + b"""plugins:
- name: A
  configuration: {kind: K, a: 1}
- name: B
  path: b.yaml
- name: C
  path: /c.yaml
- name: D
"""
    )
    assert admission.decode(data, Path("/etc/k"), read) == {
        "A": b'{"kind":"K","a":1}',
        "B": b"content of /etc/k/b.yaml",
        "C": b"content of /c.yaml",
    }


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"imagePolicy: {defaultAllow: true}", "ImagePolicyWebhook"),
        (b"podNodeSelectorPluginConfig: {}", "PodNodeSelector"),
    ],
)
def test_forms_from_before(data: bytes, name: str) -> None:
    assert admission.decode(data, Path(), read) == {name: data}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"kind: X", 'no kind "X" is registered for version ""'),
        (HEAD + b"plugin: []", 'unknown field "plugin"'),
        (HEAD + b"plugins: [{name: A, file: x}]", 'unknown field "plugins[0].file"'),
        (HEAD + b"plugins: [{path: x}]", "a plugin without a name"),
        (HEAD + b"plugins: [{name: A, path: x}, {name: A, path: z}]", "A is configured twice"),
        (b"- 1", "no document of kind AdmissionConfiguration"),
    ],
)
def test_what_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        admission.decode(data, Path(), read)
    assert text in str(caught.value)
