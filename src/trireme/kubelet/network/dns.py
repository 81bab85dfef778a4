"""A pod's resolver configuration. Pure.

In: a pod, the node's resolv.conf, the cluster's DNS addresses and domain. Out: servers, searches,
options, and warnings for events. Called by sync/sandbox. Rules:
concepts/services-networking/dns-pod-service#pod-s-dns-policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.cri.model import DNSConfig

MAX_SERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARS = 2048
MAX_DOMAIN = 253
CLUSTER_OPTIONS = ["ndots:5"]


class NodeDNS(msgspec.Struct, frozen=True):
    """The node's resolver configuration and the cluster's."""

    host: DNSConfig
    cluster_servers: tuple[str, ...] = ()
    cluster_domain: str = ""


def parse_resolv_conf(text: str) -> DNSConfig:
    """The directives of a resolv.conf that are passed to pods."""
    result = DNSConfig(servers=[], searches=[], options=[])
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            result.servers.append(words[1])
        elif words[0] == "search":
            # The last search line counts; a trailing dot means nothing here.
            result.searches = [w.removesuffix(".") if w != "." else w for w in words[1:]]
        elif words[0] == "options":
            result.options += words[1:]
    return result


def pod_dns(pod: core.Pod, node: NodeDNS) -> tuple[DNSConfig, list[str]]:
    """The resolver configuration, and warnings about what exceeds its limits."""
    warnings: list[str] = []
    result = DNSConfig(
        servers=list(node.host.servers),
        searches=list(node.host.searches),
        options=list(node.host.options),
    )
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.hostNetwork:
        policy = "Default"
    if policy == "None":
        result = DNSConfig(servers=[], searches=[], options=[])
    elif policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        if node.cluster_servers:
            result.servers = list(node.cluster_servers)
            result.searches = _cluster_searches(pod.metadata.namespace, node)
            result.options = list(CLUSTER_OPTIONS)
        else:
            warnings.append(
                "kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                '"ClusterFirst" policy. Falling back to "Default" policy.'
            )
    if pod.spec.dnsConfig is not None:
        extra = pod.spec.dnsConfig
        result.servers = _unique((*result.servers, *extra.nameservers))
        result.searches = _unique((*result.searches, *extra.searches))
        result.options = _merge_options(result.options, extra.options)
    _fit(result, warnings)
    return result, warnings


def _cluster_searches(namespace: str, node: NodeDNS) -> list[str]:
    domain = node.cluster_domain
    if not domain:
        return list(node.host.searches)
    return _unique((f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *node.host.searches))


def _merge_options(options: Sequence[str], extra: Sequence[core.PodDNSConfigOption]) -> list[str]:
    merged = dict(option.partition(":")[::2] for option in options)
    merged.update({option.name: option.value or "" for option in extra})
    return [f"{name}:{value}" if value else name for name, value in merged.items()]


def _fit(result: DNSConfig, warnings: list[str]) -> None:
    if len(result.servers) > MAX_SERVERS:
        result.servers = result.servers[:MAX_SERVERS]
        warnings.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(result.servers)}"
        )
    searches = [s for s in result.searches[:MAX_SEARCHES] if len(s) <= MAX_DOMAIN]
    while len(" ".join(searches)) > MAX_SEARCH_CHARS:
        searches.pop()
    if searches != result.searches:
        result.searches = searches
        warnings.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
