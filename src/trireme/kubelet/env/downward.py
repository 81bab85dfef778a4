"""The downward API: fields and resources of a pod as text. Pure.

In: a pod and a selector. Out: text, or ``Unsupported``. Called by env/compute and the downwardAPI
volume. Rules: reference "Downward API"; concepts/workloads/pods/downward-api.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trireme.api.core import v1 as core
from trireme.kubelet import podresources, podspec
from trireme.machinery import gotext, quantity

_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]\Z").match
_DEFAULTED = ("cpu", "memory", "ephemeral-storage")


class Unsupported(ValueError):
    """A selector that the downward API does not support."""


def field(pod: core.Pod, path: str) -> str:
    """``metadata.*``: the fields that both environment variables and volumes support."""
    found = _SUBSCRIPT(path)
    if found is not None:
        of = pod.metadata.labels if found.group(1).endswith("labels") else pod.metadata.annotations
        return of.get(found.group(2), "")
    if path == "metadata.labels":
        return _lines(pod.metadata.labels)
    if path == "metadata.annotations":
        return _lines(pod.metadata.annotations)
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        text: str = getattr(pod.metadata, path.removeprefix("metadata."))
        return text
    raise Unsupported(f"unsupported fieldPath: {path}")


def env_field(pod: core.Pod, path: str, pod_ips: tuple[str, ...], host_ips: tuple[str, ...]) -> str:
    """As ``field``, and the fields that environment variables support only."""
    match path:
        case "spec.nodeName":
            return pod.spec.nodeName
        case "spec.serviceAccountName":
            return pod.spec.serviceAccountName
        case "status.hostIP":
            return host_ips[0] if host_ips else ""
        case "status.hostIPs":
            return ",".join(host_ips)
        case "status.podIP":
            return pod_ips[0] if pod_ips else ""
        case "status.podIPs":
            return ",".join(pod_ips)
    return field(pod, path)


def resource(
    pod: core.Pod,
    selector: core.ResourceFieldSelector,
    container_name: str,
    allocatable: Mapping[str, str],
) -> str:
    """A request or limit in units of the divisor, rounded up.

    A missing limit is the pod's, and where the pod has none, the node's.
    """
    container = podspec.find(pod, selector.containerName or container_name)
    if container is None:
        raise Unsupported(f"container {selector.containerName} not found")
    kind, _, name = selector.resource.partition(".")
    known = name in _DEFAULTED or name.startswith("hugepages-")
    if kind not in ("limits", "requests") or not known:
        raise Unsupported(f"unsupported container resource : {selector.resource}")
    block = container.resources.requests
    if kind == "limits":
        block = podresources.container_limits(pod, container)
    text = block.get(name, "")
    if kind == "limits" and name in _DEFAULTED and (not text or not quantity.parse(text)):
        text = allocatable.get(name, "")
    value = quantity.parse(text or "0")
    divisor = quantity.parse(selector.divisor or "0") or quantity.parse("1")
    if name == "cpu":
        return str(-(-value.milli_value() // divisor.milli_value()))
    return str(-(-value.value() // max(divisor.value(), 1)))


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={gotext.quote(values[key])}" for key in sorted(values))
