"""``trireme kubelet``: a node's kubelet alone, with any CRI v1 runtime. Needs root."""

from __future__ import annotations

from pathlib import Path

import click

from trireme.client import kubeconfig
from trireme.cluster.commands import _standalone, _types
from trireme.cluster.hosts.plan import SERVICE_NETWORK
from trireme.cluster.settings import DOMAIN, BadSetting, dns_address_in
from trireme.kit.env import Env


@click.command()
@_standalone.KUBECONFIG
@_standalone.NODE_NAME
@_standalone.NODE_IP
@click.option(
    "--runtime",
    type=_types.RUNTIME,
    default="unix:///run/containerd/containerd.sock",
    show_default=True,
    help="The runtime's CRI v1 socket.",
)
@click.option(
    "--root-dir",
    type=_types.ABSOLUTE,
    default="/var/lib/kubelet",
    show_default=True,
    help="Pods' volumes.",
)
@click.option(
    "--logs-dir",
    type=_types.ABSOLUTE,
    default="/var/log/pods",
    show_default=True,
    help="Containers' logs.",
)
@click.option(
    "--cgroup-parent",
    type=_types.ABSOLUTE,
    default="/kubepods",
    show_default=True,
    help="Of all pods.",
)
@click.option(
    "--cluster-dns",
    type=_types.ADDRESS,
    default=dns_address_in(SERVICE_NETWORK),
    show_default=True,
)
@click.option("--cluster-domain", type=_types.SUBDOMAIN, default=DOMAIN, show_default=True)
@click.option(
    "--cloud-provider",
    type=click.Choice(["", "external"]),
    default="",
    help="external: a cloud controller manager initialises the node.",
)
@click.option("--provider-id", type=_types.PROVIDER_ID, help="The machine's ID, PROVIDER://ID.")
@click.option(
    "--tls-cert-file", "certificate", type=_types.EXISTING, help="Of its own HTTPS server."
)
@click.option("--tls-private-key-file", "key", type=_types.EXISTING, help="The certificate's key.")
@click.option(
    "--client-ca-file", "authority", type=_types.EXISTING, help="Who may ask by certificate."
)
def COMMAND(
    path: Path,
    node_name: str,
    node_ip: str,
    runtime: str,
    root_dir: str,
    logs_dir: str,
    cgroup_parent: str,
    cluster_dns: str,
    cluster_domain: str,
    cloud_provider: str,
    provider_id: str | None,
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
) -> None:
    """Run a kubelet alone in the foreground, in this network namespace.

    Without a certificate for its own server, logs, exec and port-forward do not work.
    """
    if (certificate is None) != (key is None):
        raise BadSetting("--tls-cert-file and --tls-private-key-file need each other")

    async def main(env: Env) -> None:
        from trireme.kubelet import run
        from trireme.kubelet.config import KubeletConfig, ServerConfig

        server = ServerConfig(
            address=node_ip,
            certificate_file=str(certificate or ""),
            key_file=str(key or ""),
            client_ca_file=str(authority or ""),
        )
        config = KubeletConfig(
            node_name=node_name,
            node_ips=(node_ip,),
            root_dir=root_dir,
            logs_dir=logs_dir,
            cgroup_parent=cgroup_parent,
            cluster_dns=(cluster_dns,),
            cluster_domain=cluster_domain,
            external_cloud=cloud_provider == "external",
            provider_id=provider_id or "",
            server=server if certificate else None,
        )
        async with _standalone.client(kubeconfig.load(path), "kubelet") as client:
            await run.run(config, env, client, runtime)

    _standalone.run("kubelet", main)
