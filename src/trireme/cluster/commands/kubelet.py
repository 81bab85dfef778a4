"""``trireme kubelet``: a node's kubelet alone, with any CRI v1 runtime. Needs root.

Its flags are upstream's, each of which sets a field of KubeletConfiguration (``_kubelet_flags``),
and those of this file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from trireme.client import kubeconfig
from trireme.cluster import flags
from trireme.cluster.commands import _kubelet_flags, _standalone, _types
from trireme.cluster.hosts.plan import SERVICE_NETWORK
from trireme.cluster.settings import DOMAIN, BadSetting, dns_address_in
from trireme.kit.env import Env

_OPTIONS = (
    click.Option(
        ["--kubeconfig"],
        envvar="KUBECONFIG",
        type=_types.EXISTING,
        help="Where the API server is, and who this node is there; none: static pods only.",
    ),
    click.Option(
        ["--node-name", "--hostname-override", "node_name"],
        type=_types.SUBDOMAIN,
        required=True,
        help="The node that this one serves.",
    ),
    click.Option(["--node-ip"], type=_types.ADDRESS, required=True, help="The node's own address."),
    click.Option(
        ["--config"], type=_types.EXISTING, help="A KubeletConfiguration; flags override it."
    ),
    click.Option(
        ["--config-dir"],
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A directory of drop-ins, *.conf, merged over --config in the order of names.",
    ),
    click.Option(["--runtime"], type=_types.RUNTIME, help="--container-runtime-endpoint."),
    click.Option(["--logs-dir"], type=_types.ABSOLUTE, help="Containers' logs: podLogsDir."),
    click.Option(
        ["--root-dir"],
        type=_types.ABSOLUTE,
        default="/var/lib/kubelet",
        show_default=True,
        help="Pods' volumes.",
    ),
    click.Option(
        ["--cgroup-parent"],
        type=_types.ABSOLUTE,
        default="/kubepods",
        show_default=True,
        help="Of all pods, where there is no --cgroup-root.",
    ),
    click.Option(
        ["--cloud-provider"],
        type=click.Choice(["", "external"]),
        default="",
        help="external: a cloud controller manager initialises the node.",
    ),
    click.Option(
        ["--shutdown-on-sigterm"],
        is_flag=True,
        help="SIGTERM means that the node shuts down: pods end within shutdownGracePeriod.",
    ),
    click.Option(
        ["--node-labels"],
        type=_types.LABELS,
        default="",
        help="Labels to register the node with, KEY=VALUE,...",
    ),
)


def _run(
    *,
    kubeconfig_: Path | None,
    node_name: str,
    node_ip: str,
    config: Path | None,
    config_dir: Path | None,
    runtime: str | None,
    logs_dir: str | None,
    root_dir: str,
    cgroup_parent: str,
    cloud_provider: str,
    shutdown_on_sigterm: bool,
    node_labels: dict[str, str],
    fields: dict[str, Any],
) -> None:
    from trireme.kubelet.config import KubeletConfig
    from trireme.kubelet.configuration import convert, load

    for to, value in (("containerRuntimeEndpoint", runtime), ("podLogsDir", logs_dir)):
        if value is not None:
            fields.setdefault(to, value)
    try:
        document = load.load(
            config.read_bytes() if config is not None else None, _drop_ins(config_dir), fields
        )
    except ValueError as error:
        raise BadSetting(str(error)) from None
    if bool(document.tlsCertFile) != bool(document.tlsPrivateKeyFile):
        raise BadSetting("--tls-cert-file and --tls-private-key-file need each other")
    base = KubeletConfig(
        node_name=node_name,
        node_ips=(node_ip,),
        root_dir=root_dir,
        cgroup_parent=cgroup_parent,
        cluster_dns=(dns_address_in(SERVICE_NETWORK),),
        cluster_domain=DOMAIN,
        external_cloud=cloud_provider == "external",
        labels=node_labels,
        standalone=kubeconfig_ is None,
    )
    settings = convert.to_config(document, base, len(os.sched_getaffinity(0)))
    if settings.shutdown and not shutdown_on_sigterm:
        raise BadSetting(
            "shutdownGracePeriod needs --shutdown-on-sigterm: systemd-logind is not followed"
        )
    if shutdown_on_sigterm and not settings.shutdown:
        raise BadSetting("--shutdown-on-sigterm needs shutdownGracePeriod")
    endpoint = document.containerRuntimeEndpoint

    async def main(env: Env) -> None:
        from trireme.client.client import Client
        from trireme.client.transport import Nowhere
        from trireme.kubelet import run

        if kubeconfig_ is None:
            await run.run(settings, env, Client(Nowhere(), clock=env.clock), endpoint)
            return
        async with _standalone.client(kubeconfig.load(kubeconfig_), "kubelet") as client:
            await run.run(settings, env, client, endpoint)

    _standalone.run("kubelet", main)


def _drop_ins(folder: Path | None) -> list[tuple[str, bytes]]:
    if folder is None:
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path), path.read_bytes()) for path in files if path.suffix == ".conf"]


def _callback(**values: Any) -> None:
    fields = {}
    for row in _kubelet_flags.FLAGS:
        given = values.pop(flags.parameter(row))
        if given:
            value = flags.merged(row.kind, given).value
            fields[row.to] = str(value) if isinstance(value, Path) else value
    for refused in _kubelet_flags.REFUSED:
        values.pop(flags.parameter(refused))
    _run(kubeconfig_=values.pop("kubeconfig"), fields=fields, **values)


COMMAND = click.Command(
    None,
    params=[
        *_OPTIONS,
        *map(flags.option, _kubelet_flags.FLAGS),
        *map(flags.option, _kubelet_flags.REFUSED),
    ],
    callback=_callback,
    help="""Run a kubelet alone in the foreground, in this network namespace.

    Without a certificate for its own server, logs, exec and port-forward do not work.
    """,
)
