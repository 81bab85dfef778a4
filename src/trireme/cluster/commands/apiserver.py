"""``trireme apiserver``: an API server alone, with keys of its own; needs no root."""

from __future__ import annotations

import time
from pathlib import Path

import click

from trireme.cluster import compose, ports
from trireme.cluster.commands import _standalone, _types
from trireme.cluster.pki import Keys
from trireme.cluster.settings import NodeSettings, Settings
from trireme.kit.env import Env


@click.command()
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
@click.option(
    "--max-requests-inflight",
    "max_in_flight",
    type=_types.COUNT,
    default=400,
    show_default=True,
    help="Requests that read, answered at a time; 0: no limit.",
)
@click.option(
    "--max-mutating-requests-inflight",
    "max_mutating_in_flight",
    type=_types.COUNT,
    default=200,
    show_default=True,
    help="Requests that write, answered at a time; 0: no limit.",
)
@click.option(
    "--feature-gates",
    type=_types.SWITCHES,
    default="",
    help="NAME=true or =false, with commas between; one that cannot be set so is refused.",
)
@click.option(
    "--runtime-config",
    type=_types.SWITCHES,
    default="",
    help="Which APIs are served: api/beta=true, GROUP/VERSION=true, GROUP/VERSION/RESOURCE=false.",
)
@click.option(
    "--enable-bootstrap-token-auth",
    type=click.Choice(["true", "false"]),
    default="false",
    show_default=True,
    help="Take the tokens in Secrets of type bootstrap.kubernetes.io/token in kube-system.",
)
@click.option(
    "--warn-unimplemented",
    type=click.Choice(["true", "false"]),
    default="true",
    show_default=True,
    help="Warn of objects that Trireme does not act on yet; false where others' controllers run.",
)
def COMMAND(
    datastore: str | None,
    port: int,
    listen: str,
    state_dir: Path,
    nodes: tuple[tuple[str, str], ...],
    max_in_flight: int,
    max_mutating_in_flight: int,
    feature_gates: dict[str, bool],
    runtime_config: dict[str, bool],
    enable_bootstrap_token_auth: str,
    warn_unimplemented: str,
) -> None:
    """Run an API server alone in the foreground.

    Prints the path of the administrator's kubeconfig. Beside it are those of the other components:
    controllers.kubeconfig, scheduler.kubeconfig; for each node kubelet.NAME.kubeconfig and
    proxy.NAME.kubeconfig, and in pki/ the kubelet's own certificate: kubelet.NAME.crt and .key.
    """
    _check(feature_gates, runtime_config)
    folder = state_dir.absolute()
    cluster = Settings(
        name="alone",
        state_dir=str(folder),
        run_dir=str(folder),
        datastore=datastore or f"sqlite:{folder}/state.db",
        port=port,
        listen=(listen,),
        nodes=tuple(_node(*node) for node in nodes),
        max_in_flight=max_in_flight,
        max_mutating_in_flight=max_mutating_in_flight,
        feature_gates=feature_gates,
        runtime_config=runtime_config,
        bootstrap_tokens=enable_bootstrap_token_auth == "true",
        warn_unimplemented=warn_unimplemented == "true",
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


def _check(feature_gates: dict[str, bool], runtime_config: dict[str, bool]) -> None:
    """Refuse gates that cannot be set so, and APIs that there are not. UsageError."""
    from trireme import api
    from trireme.api.catalog import Catalog
    from trireme.apiserver import gates

    option = "--feature-gates"
    try:
        gates.Gates(feature_gates)
        option = "--runtime-config"
        gates.check(runtime_config, Catalog.of(api).resources)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


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
