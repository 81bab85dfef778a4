"""Static pods from manifests. Pure.

In: the bytes of a manifest, where they are from, the node. Out: pods as the kubelet runs them, or
``ManifestError``. Called by desired/files and desired/urls. Rules:
tasks/configure-pod-container/static-pod; upstream's pkg/kubelet/config.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from trireme.api import metadata
from trireme.api.core import v1 as core
from trireme.api.core.v1.pod.resource import RESOURCE
from trireme.domain import pod_references
from trireme.kubelet import podspec
from trireme.machinery.codec import yaml
from trireme.machinery.errors import ApiError
from trireme.machinery.schema import decode, normalise
from trireme.machinery.schema.decode import DecodeError

# Bytes of one manifest.
LIMIT = 10 << 20
HASH, READ_AT = "kubernetes.io/config.hash", "kubernetes.io/config.seen"
FILE, HTTP = "file", "http"


class ManifestError(ValueError):
    """No pod can be made of a manifest."""


class Origin(msgspec.Struct, frozen=True):
    """Where a manifest is from: ``kind`` is ``file`` or ``http``, ``place`` the path or URL."""

    kind: str
    place: str
    node: str


def pods(data: bytes, origin: Origin, now: str) -> list[core.Pod]:
    """One pod; of a URL also those of a PodList. Raises ``ManifestError``."""
    if len(data) > LIMIT:
        raise ManifestError(f"{origin.place}: longer than {LIMIT} bytes")
    try:
        plain = yaml.load(data).value
        kind = (plain.get("apiVersion"), plain.get("kind")) if isinstance(plain, dict) else None
        if kind == ("v1", "Pod"):
            return [_pod(plain, origin, now)]
        if kind == ("v1", "PodList") and origin.kind == HTTP and isinstance(plain["items"], list):
            return [_pod(item, origin, now) for item in plain["items"]]
    except (DecodeError, ApiError, KeyError, RecursionError) as error:
        raise ManifestError(f"{origin.place}: couldn't parse as pod({error})") from error
    raise ManifestError(f"{origin.place}: couldn't parse as pod(not a v1 Pod)")


def _pod(plain: Any, origin: Origin, now: str) -> core.Pod:
    pod, _ = decode.decode(msgspec.json.encode(plain), core.Pod, decode.IGNORE)
    meta = pod.metadata
    if not meta.name:
        raise ManifestError("invalid pod: name is needed for the pod")
    meta.uid = meta.uid or _uid(pod, origin)
    meta.name = f"{meta.name}-{origin.node.lower()}"
    meta.namespace = meta.namespace or "default"
    meta.annotations = {
        **meta.annotations,
        HASH: meta.uid,
        READ_AT: now,
        podspec.SOURCE: origin.kind,
    }
    # A mirror has this one; with it in a manifest the pod would pass for its own mirror.
    meta.annotations.pop(pod_references.MIRROR, None)
    meta.creationTimestamp = now
    pod.spec.nodeName = origin.node
    pod.status = core.PodStatus(phase="Pending")
    normalise.normalise(pod)
    RESOURCE.defaults(pod)
    everything = core.Toleration(operator="Exists", effect="NoExecute")
    if origin.kind == FILE and everything not in pod.spec.tolerations:
        pod.spec.tolerations.append(everything)
    found = metadata.validate_create(RESOURCE, meta) + RESOURCE.validate(pod)
    if found:
        raise ManifestError(f"invalid pod: {', '.join(str(error) for error in found)}")
    named = pod_references.api_objects(pod)
    if named:
        raise ManifestError(f"static pods may not reference {named}")
    return pod


def _uid(pod: core.Pod, origin: Origin) -> str:
    """The same for the same manifest at the same place, so that a restarted kubelet adopts the pod;
    another one for any change."""
    digest = hashlib.sha256(msgspec.json.encode(pod))
    host = f"host:{origin.node}" if origin.kind == FILE else ""
    digest.update(f"{host}{origin.kind}:{origin.place}".encode())
    return digest.hexdigest()[:32]
