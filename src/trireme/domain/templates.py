"""Pod templates: equality and a hash. Pure; for Deployments and other owners of pods.

A template's hash is FNV-1a (32 bits) over its JSON with sorted keys, and over the count of
collisions met so far, written in the alphabet of generated names. Upstream hashes a dump of its own
data structures; the value only has to be stable and to differ (docs/decisions/controllers.md).
"""

from __future__ import annotations

import msgspec

from trireme.api.core.v1.pod.template import PodTemplateSpec

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_deterministic = msgspec.json.Encoder(order="deterministic")


def same(one: PodTemplateSpec, other: PodTemplateSpec) -> bool:
    """Whether two templates are equal but for the label with the hash."""
    return without_hash(one) == without_hash(other)


def without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    """The template as its owner wrote it."""
    if HASH_LABEL not in template.metadata.labels:
        return template
    return labelled(template, {k: v for k, v in _labels(template).items() if k != HASH_LABEL})


def with_hash(template: PodTemplateSpec, value: str) -> PodTemplateSpec:
    """The template with its hash as a label."""
    return labelled(template, {**_labels(template), HASH_LABEL: value})


def labelled(template: PodTemplateSpec, labels: dict[str, str]) -> PodTemplateSpec:
    """The template with these labels."""
    metadata = msgspec.structs.replace(template.metadata, labels=labels)
    return msgspec.structs.replace(template, metadata=metadata)


def hash_of(template: PodTemplateSpec, collisions: int | None) -> str:
    """The hash of the template: letters and digits, at most ten."""
    data = _deterministic.encode(without_hash(template))
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(_fnv1a(data)))


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _labels(template: PodTemplateSpec) -> dict[str, str]:
    return template.metadata.labels
