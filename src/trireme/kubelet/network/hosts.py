"""A pod's host name and its ``/etc/hosts``. Pure.

In: a pod, its addresses, the cluster domain. Out: names and file content. Called by sync/sandbox
and sync/execute. Rules: concepts/services-networking/dns-pod-service, add-entries-to-pod-etc-hosts.
"""

from __future__ import annotations

from collections.abc import Sequence

from trireme.api.core import v1 as core

LIMIT = 63
FQDN_LIMIT = 64
HEADER = "# Kubernetes-managed hosts file.\n"
HOST_HEADER = "# Kubernetes-managed hosts file (host network).\n"
LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def hostname_and_domain(pod: core.Pod, cluster_domain: str) -> tuple[str, str]:
    """The short host name, and the pod's DNS domain when it has a subdomain."""
    name = pod.spec.hostnameOverride or pod.spec.hostname or pod.metadata.name
    if len(name) > LIMIT:
        name = name[:LIMIT].rstrip("-.")
    domain = ""
    if pod.spec.subdomain and not pod.spec.hostnameOverride:
        domain = f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"
    return name, domain


def node_name_of_pod(pod: core.Pod, cluster_domain: str) -> str:
    """What ``hostname`` prints in the pod. Raises ValueError when the FQDN is too long."""
    name, domain = hostname_and_domain(pod, cluster_domain)
    if pod.spec.setHostnameAsFQDN and domain:
        name = f"{name}.{domain}"
        if len(name) > FQDN_LIMIT:
            raise ValueError(
                f"failed to construct FQDN from pod hostname and cluster domain, "
                f"FQDN {name} is too long (64 characters is the max, "
                f"{len(name)} characters requested)"
            )
    return name


def hosts_file(
    ips: Sequence[str], hostname: str, domain: str, aliases: Sequence[core.HostAlias]
) -> str:
    """For a pod with a network of its own."""
    names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
    return HEADER + LOCAL + "".join(f"{ip}\t{names}\n" for ip in ips) + _aliases(aliases)


def host_network_file(of_node: str, aliases: Sequence[core.HostAlias]) -> str:
    """For a pod in the node's network: the node's own file, and the aliases."""
    return HOST_HEADER + of_node + _aliases(aliases)


def _aliases(aliases: Sequence[core.HostAlias]) -> str:
    if not aliases:
        return ""
    lines = (f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in aliases)
    return "\n# Entries added by HostAliases.\n" + "".join(lines)
