"""Provisioning of ``up`` before the processes start: network, keys, settings.

In: the options of the user. Out: the cluster's settings in its state folder, and its network and
keys. Called by ``up`` while the processes import modules. Every step can be repeated, so that the
next ``up`` completes one that was interrupted.
"""

from __future__ import annotations

import time

import msgspec

from trireme.cli.stages import Stages
from trireme.cluster import etcd, ports, prerequisites, settings
from trireme.cluster.hosts import names, spawn
from trireme.cluster.hosts.plan import HostsPlan, Places
from trireme.cluster.pki import Keys
from trireme.cluster.settings import BadSetting, Settings
from trireme.cluster.up import CannotStart, UpOptions


def prepare(options: UpOptions, kept: Settings | None, places: Places, stages: Stages) -> Settings:
    """Everything before the first process: checks, network, keys, settings."""
    with stages.stage("prerequisites"):
        if kept is not None:
            port = kept.port
        else:
            port = options.port or ports.first_free(settings.ports(places))
        _check_control_planes(options, kept)
        _check(options, () if kept is not None and _serves(kept) else (port,))
    if options.control_plane_only:
        made = _settings(options, kept, places, port, None)
    else:
        with stages.stage("network"):
            # Netlink is a large import, and only for nodes.
            from trireme.cluster.hosts import network, outside
            from trireme.cluster.hosts.local import LocalHosts

            hosts = LocalHosts(
                options.name,
                options.nodes,
                places=places,
                control_planes=kept.control_planes if kept else options.control_planes or 1,
            )
            plan = hosts.plan()
            hosts.keep()
            network.create(plan)
            if options.outside:
                outside.open_way(plan, outside.networks(options.outside))
        made = _settings(options, kept, places, port, plan)
    with stages.stage("keys"):
        keys = Keys(made.pki_dir)
        keys.make(made, time.time())
        text = keys.kubeconfig(made, "admin", made.url())
        made.kubeconfig.touch(0o600)
        made.kubeconfig.write_text(text)
    settings.save(made)
    return made


def _settings(
    options: UpOptions, kept: Settings | None, places: Places, port: int, plan: HostsPlan | None
) -> Settings:
    """The settings of all components, with addresses and networks of the hosts' plan."""
    state_dir = f"{places.state}/{options.name}"
    datastore = options.datastore or (kept.datastore if kept else f"sqlite:{state_dir}/state.db")
    made = Settings(
        name=names.cluster(options.name),
        state_dir=state_dir,
        run_dir=f"{places.run}/{options.name}",
        datastore=settings.check_local_datastore(datastore),
        port=port,
        component_port=(
            kept.component_port if kept is not None else ports.components(settings.ports(places))
        ),
        kube_apiserver_args=(
            options.kube_apiserver_args or (kept.kube_apiserver_args if kept else ())
        ),
    )
    count = kept.control_planes if kept is not None else options.control_planes or 1
    if made.datastore == "etcd":
        members = count if count % 2 else count - 1
        etcd_ports = kept.etcd_ports if kept is not None else ()
        made = msgspec.structs.replace(
            made, etcd_ports=etcd_ports or ports.etcd(members, settings.ports(places))
        )
    if plan is None:
        if count > 1:
            servers = tuple(f"127.0.0.{2 + number}" for number in range(count))
            made = msgspec.structs.replace(made, servers=servers)
        return made
    return msgspec.structs.replace(
        made,
        listen=(*made.listen, plan.host_ip),
        servers=plan.api_ips,
        nodes=tuple(settings.of(node) for node in plan.nodes),
        pod_network=plan.pod_network,
        service_network=plan.service_network,
        outside=options.outside,
        max_nodes=max(options.max_nodes, len(plan.nodes)),
        unneeded_time=options.unneeded_time,
    )


def _serves(kept: Settings) -> bool:
    """Whether the API server outlived its supervisor, so that its port is in use."""
    records = spawn.records(kept.records_dir)
    return any(one.name == kept.api and spawn.alive(one) for one in records)


def _check_control_planes(options: UpOptions, kept: Settings | None) -> None:
    count = kept.control_planes if kept is not None else options.control_planes or 1
    if options.control_planes not in (0, count):
        raise BadSetting(
            f"--control-planes {options.control_planes}: cluster {options.name} has {count}; "
            "take it down first"
        )
    datastore = options.datastore or (kept.datastore if kept is not None else "")
    args = options.kube_apiserver_args or (kept.kube_apiserver_args if kept is not None else ())
    external = any(item.removeprefix("--").startswith("etcd-servers=") for item in args)
    if datastore == "etcd":
        if external:
            raise BadSetting("--datastore etcd: the API server's etcd-servers names another etcd")
        etcd.check()
    elif count > 1 and not external:
        raise BadSetting(f"--control-planes {count}: several need --datastore etcd")
    if kept is not None and (datastore == "etcd") != (kept.datastore == "etcd"):
        raise BadSetting(
            f"--datastore {datastore}: cluster {options.name} has {kept.datastore}; take it down "
            "first"
        )


def _check(options: UpOptions, to_bind: tuple[int, ...]) -> None:
    names.cluster(options.name)
    if options.datastore:
        settings.check_local_datastore(options.datastore)
    if not options.control_plane_only and not 1 <= options.nodes <= names.MAX_NODES:
        raise BadSetting(f"--nodes {options.nodes}: must be 1 to {names.MAX_NODES}")
    if options.max_nodes and not options.nodes <= options.max_nodes <= names.MAX_NODES:
        raise BadSetting(
            f"--max-nodes {options.max_nodes}: must be {options.nodes} to {names.MAX_NODES}"
        )
    if options.control_plane_only:
        for port in to_bind:
            problem = ports.problem(port, "127.0.0.1", "--api-port")
            if problem:
                raise CannotStart(problem)
        return
    problems = [problem for problem in prerequisites.check(to_bind) if problem.fatal]
    if problems:
        raise CannotStart("\n".join(str(problem) for problem in problems))
