"""What the provider says of a machine, as its Node has it. Pure.

Upstream: k8s.io/cloud-provider/controllers/node, node/helpers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from trireme.api.core.v1.node_types import Node, NodeAddress
from trireme.cloud import taints
from trireme.cloud.contract import InstanceMetadata, ProviderFailure

PROVIDED_IP: Final = "alpha.kubernetes.io/provided-node-ip"
_RESERVED: Final = re.compile(r"(^|\.)(kubernetes|k8s)\.io/").search


class Labels(NamedTuple):
    """The label that decides, and the one that says the same today."""

    beta: str
    stable: str


INSTANCE_TYPE: Final = Labels(
    "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"
)
ZONE: Final = Labels("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")
REGION: Final = Labels("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")


class BadAddress(ProviderFailure):
    """The kubelet's own address is none, or none of those that the provider knows."""


def is_uninitialized(node: Node) -> bool:
    """Whether it waits for its provider."""
    return any(taint.key == taints.UNINITIALIZED for taint in node.spec.taints)


def initialized(node: Node, found: InstanceMetadata) -> tuple[Node, list[str]]:
    """The Node without the taint, with providerID and labels; and labels that it does not get.

    BadAddress.
    """
    addresses_of(node, found.addresses)
    labels = dict(node.metadata.labels)
    for pair, value in (
        (INSTANCE_TYPE, found.instance_type),
        (ZONE, found.zone),
        (REGION, found.region),
    ):
        if value:
            labels[pair.beta] = labels[pair.stable] = value
    discarded = []
    for key, value in found.labels.items():
        if _RESERVED(key) or labels.get(key, value) != value:
            discarded.append(key)
        else:
            labels[key] = value
    spec = msgspec.structs.replace(
        node.spec,
        providerID=node.spec.providerID or found.provider_id,
        taints=[taint for taint in node.spec.taints if taint.key != taints.UNINITIALIZED],
    )
    metadata = msgspec.structs.replace(node.metadata, labels=labels)
    return msgspec.structs.replace(node, metadata=metadata, spec=spec), discarded


def stable_labels(node: Node) -> dict[str, str]:
    """The stable labels that are missing or differ from those in beta, which decide."""
    labels = node.metadata.labels
    return {
        pair.stable: labels[pair.beta]
        for pair in (ZONE, REGION, INSTANCE_TYPE)
        if pair.beta in labels and labels.get(pair.stable) != labels[pair.beta]
    }


def addresses_of(node: Node, provided: Sequence[NodeAddress]) -> list[NodeAddress]:
    """The provider's addresses as the Node has them; the one that its kubelet was given decides
    about its type. The host name is the kubelet's where the provider has none. BadAddress."""
    addresses = list(provided)
    if not any(item.type == "Hostname" for item in addresses):
        addresses += [item for item in node.status.addresses if item.type == "Hostname"]
    text = node.metadata.annotations.get(PROVIDED_IP)
    if text is None:
        return addresses
    first = [item for own in _parsed(text) for item in _matching(own, addresses)]
    decided = {item.type for item in first}
    return [*first, *(item for item in addresses if item.type not in decided)]


def _parsed(text: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = [ipaddress.ip_address(part) for part in text.split(",")]
    except ValueError:
        raise BadAddress(f"failed to parse node IP {text!r}") from None
    if len(found) > 2 or (len(found) == 2 and found[0].version == found[1].version):
        raise BadAddress(f"node IP {text!r}: a single IP or a dual-stack pair of IPs")
    return found


def _matching(
    own: ipaddress.IPv4Address | ipaddress.IPv6Address, addresses: Sequence[NodeAddress]
) -> list[NodeAddress]:
    found = [item for item in addresses if _is_address(item.address, own)]
    if not found:
        raise BadAddress(f"failed to get node address from cloud provider that matches ip: {own}")
    return found


def _is_address(text: str, own: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(text) == own
    except ValueError:
        return False
