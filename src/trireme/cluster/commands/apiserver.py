"""``trireme apiserver``: an API server alone, with keys of its own; needs no root."""

from __future__ import annotations

import time
from pathlib import Path

import click

from trireme.cluster import apiserver_flags, compose, ports
from trireme.cluster.commands import _standalone, _types
from trireme.cluster.pki import Keys
from trireme.cluster.settings import NodeSettings, Settings
from trireme.kit.env import Env


@click.command(cls=apiserver_flags.Command)
@click.option(
    "--datastore", type=_types.DATASTORE, help="memory or sqlite:PATH; default: in --state-dir."
)
@click.option(
    "--port", type=_types.PORT, default=6443, show_default=True, help="Where it serves HTTPS."
)
@click.option(
    "--listen",
    type=_types.ADDRESS,
    default="127.0.0.1",
    show_default=True,
    help="On which address.",
)
@click.option(
    "--state-dir",
    type=_types.FOLDER,
    default=Path("trireme-apiserver"),
    show_default=True,
    help="For keys, kubeconfigs and data; made when missing.",
)
@click.option(
    "--node",
    "nodes",
    type=_types.NODE,
    multiple=True,
    help="A node that will join; may be given several times.",
)
def COMMAND(
    datastore: str | None,
    port: int,
    listen: str,
    state_dir: Path,
    nodes: tuple[tuple[str, str], ...],
    args: tuple[str, ...],
) -> None:
    """Run an API server alone in the foreground.

    Prints the path of the administrator's kubeconfig. Beside it are those of the other components:
    controllers.kubeconfig, scheduler.kubeconfig; for each node kubelet.NAME.kubeconfig and
    proxy.NAME.kubeconfig, and in pki/ the kubelet's own certificate: kubelet.NAME.crt and .key.
    """
    try:
        apiserver_flags.check(args)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    folder = state_dir.absolute()
    cluster = Settings(
        name="alone",
        state_dir=str(folder),
        run_dir=str(folder),
        datastore=datastore or f"sqlite:{folder}/state.db",
        port=port,
        listen=(listen,),
        nodes=tuple(_node(*node) for node in nodes),
        kube_apiserver_args=args,
    )
    problem = ports.problem(port, listen)
    if problem:
        raise click.ClickException(problem)
    keys = Keys(cluster.pki_dir)
    keys.make(cluster, time.time())
    _write(cluster.kubeconfig, keys.kubeconfig(cluster, "admin", cluster.url(listen)))
    of_nodes = (f"{part}.{node.name}" for node in cluster.nodes for part in ("kubelet", "proxy"))
    for name in ("controllers", "scheduler", *of_nodes):
        text = keys.kubeconfig(cluster, name, cluster.url(listen))
        _write(folder / f"{name}.kubeconfig", text)
    click.echo(str(cluster.kubeconfig))

    async def main(env: Env) -> None:
        await compose.api_server(cluster)(env.started)

    _standalone.run("apiserver", main)


def _node(name: str, ip: str) -> NodeSettings:
    """A node of which only name and address matter here: it is made elsewhere."""
    return NodeSettings(
        name=name,
        ip=ip,
        pod_cidr="",
        netns_path="",
        containerd_socket="",
        cgroup="",
        cgroup_parent="",
        state_dir="",
        run_dir="",
        log_dir="",
    )


def _write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)
