"""The composition root of a local cluster: builds each component from configuration, identity and
client.

In: the cluster's settings. Out: for each component the main that a process runs. No other module
imports two components. Modules are imported once, by the parent of all processes
(``import_api_server``, ``import_controllers``, ``import_nodes``); the imports of each main then
find them loaded.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import logging
import os
import random
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trireme.cluster import pki
from trireme.cluster.pki import Keys
from trireme.cluster.processes import Main, Started
from trireme.cluster.settings import DOMAIN, NodeSettings, Settings
from trireme.dns.sockets import Held
from trireme.kit import preload
from trireme.kit.env import Env
from trireme.store.contract import Store

if TYPE_CHECKING:
    from trireme.apiserver.settings.authentication import RequestHeader
    from trireme.client.client import Client
    from trireme.cluster.hosts.network import ServiceRoutes
    from trireme.cluster.served import Served


# So many containers more than there were at the last collection make the next one due.
COLLECT_AT = 10_000


def import_api_server() -> None:
    """Import the API server's modules before it is forked."""
    # It forks processes for long requests, which let go of all of gRPC (etcd's and KMS plugins'
    # connections): its handlers would use what is closed.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    preload.aiohttp()
    import trireme.apiserver.run
    import trireme.store.sqlite  # noqa: F401
    from trireme import api
    from trireme.api.catalog import Catalog
    from trireme.apiserver import server
    from trireme.cluster import apiserver_flags

    apiserver_flags.areas()
    Catalog.of(api)
    server.handlers()


def import_controllers() -> None:
    """Import the controllers and the scheduler before they are forked."""
    import trireme.cluster.access
    import trireme.cluster.served
    import trireme.controllers.manager
    import trireme.scheduler.loop

    trireme.controllers.manager.definitions()


def import_nodes() -> None:
    """Import the components of nodes before they are forked. After the others: those have no part
    of this memory."""
    import trireme.cluster.kubelets
    import trireme.dns.run
    import trireme.proxy.run  # noqa: F401


def _one_line(record: logging.LogRecord) -> bool:
    """Log a broken TLS connection as one line, without a traceback.

    uvloop may write to a socket that the peer has just closed, and then logs an error itself beside
    raising it to the user of the connection.
    """
    if record.msg.startswith("Fatal error on SSL protocol") and record.exc_info:
        error = record.exc_info[1]
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg = f"a TLS connection broke: {type(error).__name__}: {error}"
        record.exc_info = record.exc_text = None
    return True


def environment(component: str, started: Started) -> Env:
    """The environment of a real process: system clock, rng, and a log on standard error. Sets up
    the process's garbage collector as well."""
    # Most objects of API types are no concern of the collector (gc=False), but their lists and maps
    # are, and die soon: with Python's own 700 it takes a sixth of the time of a busy process.
    gc.set_threshold(COLLECT_AT)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    logging.getLogger("asyncio").addFilter(_one_line)

    def ready() -> None:
        # What there is by now, modules first of all, stays: it is not looked at again.
        gc.collect(1)
        gc.freeze()
        started()

    # Not a secret's source: keys and tokens are made with cryptography's own.
    return Env(rng=random.Random(), log=logging.getLogger(f"trireme.{component}"), started=ready)


def etcd_member(cluster: Settings, number: int) -> Main:
    """A member of the cluster's own etcd."""

    async def main(started: Started) -> None:
        from trireme.cluster import etcd

        await etcd.run(cluster, number, environment(f"etcd-{number}", started))

    return main


def front(cluster: Settings) -> Main:
    """What several API servers have in front of them."""

    async def main(started: Started) -> None:
        from trireme.cluster import front

        listen = [(host, cluster.port) for host in cluster.listen]
        servers = [(host, cluster.port) for host in cluster.servers]
        # Nobody is to wait for it that could not be answered.
        while not cluster.mark("apiserver").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await front.run(listen, servers, environment("front", started))

    return main


def api_server(cluster: Settings, number: int = 0) -> Main:
    """An API server and its store."""

    async def main(started: Started) -> None:
        import_api_server()
        # Imported modules stay alive: to scan them takes a collection some 25 ms of latency.
        gc.freeze()
        from trireme.apiserver import run
        from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
        from trireme.apiserver.nodes.contract import KubeletAccess
        from trireme.apiserver.settings.aggregator import AggregatorSettings
        from trireme.apiserver.settings.authentication import Authentication
        from trireme.cluster import apiserver_flags, etcd

        keys = Keys(cluster.pki_dir)
        listen = (cluster.servers[number],) if cluster.servers else cluster.listen
        config = ApiServerConfig(
            store=open_store(cluster.datastore),
            service_accounts=ServiceAccountKeys(keys.signing_key()),
            listen=tuple((host, cluster.port) for host in listen),
            serving=keys.pair("apiserver"),
            client_authority=keys.authority_file.read_bytes(),
            authentication=Authentication(front_proxy(keys)),
            kubelets=KubeletAccess(
                keys.pair("apiserver-kubelet-client"), keys.authority_file.read_bytes()
            ),
            aggregator=AggregatorSettings(keys.pair(pki.FRONT_PROXY)),
            service_cidr=cluster.service_network,
            advertise=(listen[-1], cluster.port),
            forks=forks(),
            identity=identity(listen[-1], cluster.port),
            hostname=socket.gethostname(),
        )
        args = (*etcd.flags(cluster), *cluster.kube_apiserver_args)
        config = apiserver_flags.configured(config, args)
        await run.run(config, environment("apiserver", started))

    return main


def front_proxy(keys: Keys) -> RequestHeader:
    """The cluster's own front proxy, as kubeadm has it."""
    from trireme.apiserver.settings.authentication import RequestHeader

    return RequestHeader(
        authority=keys.pair(pki.FRONT_PROXY_AUTHORITY).certificate,
        allowed_names=(pki.FRONT_PROXY,),
        username_headers=("X-Remote-User",),
        group_headers=("X-Remote-Group",),
        extra_prefixes=("X-Remote-Extra-",),
    )


def identity(address: str, port: int) -> str:
    """What an API server is called among several, in the form of upstream's."""
    digest = hashlib.sha256(f"{socket.gethostname()}:{address}:{port}".encode()).digest()
    return "apiserver-" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()


def forks() -> int:
    """The maximum number of concurrent forked processes for long requests of an API server."""
    return min(4, max(2, len(os.sched_getaffinity(0))))


def open_store(datastore: str) -> Store:
    """The store that a setting names. It is opened later, in the process that uses it."""
    kind, _, path = datastore.partition(":")
    # That of etcd is made by the API server's flags.
    if kind in ("memory", "etcd"):
        from trireme.store.memory import MemoryStore

        return MemoryStore()
    from trireme.store.sqlite import SqliteStore

    return SqliteStore(Path(path))


@asynccontextmanager
async def serving(
    cluster: Settings, port: int, served: Served, client: Client, env: Env
) -> AsyncIterator[None]:
    """Serve a component's pages on loopback. A port that another program has by now is no reason
    not to run."""
    from trireme.runtime.serving import server
    from trireme.runtime.serving.config import DelegatedAuth, SecureServing

    keys = Keys(cluster.pki_dir)
    auth = DelegatedAuth(client_authority=keys.authority_file.read_bytes())
    reviewers = server.Reviewers(authentication=client, authorization=client)
    async with AsyncExitStack() as stack:
        if port:
            pages = served.pages(env)
            own = keys.pair("components")
            config = SecureServing(port=port, certificate=own.certificate, key=own.key)
            made = server.serving(config, auth, reviewers, pages, served.name, env)
            try:
                await stack.enter_async_context(made)
            except OSError as error:
                env.log.warning("health and metrics are not served: %s", error)
        yield


def candidate(cluster: Settings, number: int) -> str:
    """The name in leader elections of what a control plane runs; "" for the only one."""
    return f"{socket.gethostname()}_{uuid.uuid4()}" if cluster.control_planes > 1 else ""


def controllers(cluster: Settings, number: int = 0) -> Main:
    """All controllers."""

    async def main(started: Started) -> None:
        from trireme.client import measured
        from trireme.cluster import access, cloud_controllers, local_path
        from trireme.cluster.served import Served
        from trireme.controllers import manager, settings
        from trireme.kubelet.host.real import RealHost
        from trireme.runtime.serving.health import Checks

        env = environment("controllers", started)
        keys = Keys(cluster.pki_dir)
        wrap = measured.wrapping(env, cluster.url())
        async with AsyncExitStack() as stack:

            async def client(identity: str, agent: str) -> Client:
                made = access.client(cluster, identity, agent, wrap)
                return await stack.enter_async_context(made)

            clients = {
                name: await client(pki.controller_file(name), f"kube-controller-manager/{name}")
                for name in pki.controller_accounts()
            }
            extra = [local_path.definition(cluster.storage_dir, RealHost())]
            if cluster.nodes:
                extra += cloud_controllers.local(cluster, env)
            health = Checks()
            own = await client("controllers", manager.NAME)
            served = Served(name=manager.NAME, health={"/healthz": health})
            port = 0 if number else cluster.component_port
            await stack.enter_async_context(serving(cluster, port, served, own, env))
            config = manager.ManagerConfig(
                client=own,
                client_for=clients.__getitem__,
                candidate=candidate(cluster, number),
                # With one API server no cache is stale about deleted namespaces.
                settings=settings.Settings(
                    root_ca=keys.authority_file.read_text(),
                    signing=settings.Signing.by(keys.authority()),
                    service_account_key=keys.signing_key(),
                    namespace_delay=0.0 if cluster.control_planes == 1 else 5.0,
                ),
                extra=extra,
                health=health,
                # Below the time that the supervisor gives it.
                shutdown_timeout=1.0,
            )
            await manager.run(config, env)

    return main


def scheduler(cluster: Settings, number: int = 0) -> Main:
    """The scheduler."""

    async def main(started: Started) -> None:
        from trireme.client import measured
        from trireme.cluster import access
        from trireme.cluster.served import Served
        from trireme.runtime.election import Election, LeaderElection
        from trireme.runtime.serving.health import Checks
        from trireme.scheduler import loop

        env = environment("scheduler", started)
        wrap = measured.wrapping(env, cluster.url())
        port = 0 if number else cluster.component_port and cluster.component_port + 2
        checks = {path: Checks() for path in ("/healthz", "/livez", "/readyz")}
        served = Served(name="kube-scheduler", health=checks)
        async with (
            access.client(cluster, "scheduler", "kube-scheduler", wrap) as client,
            serving(cluster, port, served, client, env),
        ):
            config = loop.SchedulerConfig(client=client)
            elected = LeaderElection(name="kube-scheduler", elect=cluster.control_planes > 1)
            election = Election(client, elected, candidate(cluster, number), env)
            if elected.elect:
                await election.lead(lambda: loop.run(config, env))
            else:
                await loop.run(config, env)

    return main


def kubelet(cluster: Settings, node: NodeSettings) -> Main:
    """A node's kubelet."""

    async def main(started: Started) -> None:
        from trireme.cluster import kubelets

        await kubelets.run(cluster, node, environment(f"kubelet.{node.name}", started))

    return main


def proxy(cluster: Settings, node: NodeSettings) -> Main:
    """A node's Service proxy."""

    async def main(started: Started) -> None:
        from trireme.cluster import access
        from trireme.proxy import run

        env = environment(f"proxy.{node.name}", started)
        routes: ServiceRoutes | None = None

        async def reach(networks: tuple[str, ...]) -> None:
            nonlocal routes
            # Only for clusters with a second ServiceCIDR.
            from trireme.cluster.hosts import network

            if routes is None:
                routes = network.ServiceRoutes(cluster.service_network, cluster.listen[-1])
            await asyncio.to_thread(routes.update, networks)

        async with access.client(cluster, f"proxy.{node.name}", "kube-proxy") as client:
            config = run.ProxyConfig(
                client=client,
                node_name=node.name,
                node_ips=(node.ip,),
                pod_cidrs=(cluster.pod_network,),
                service_cidrs=(cluster.service_network,),
                reach=reach,
                table=f"trireme-{cluster.name}",
                health=(node.ip, 10256),
            )
            await run.run(config, env)

    return main


def dns(cluster: Settings, node: NodeSettings, held: Held) -> Main:
    """A node's DNS server. The caller keeps its sockets open, so that queries wait while a killed
    server restarts."""

    async def main(started: Started) -> None:
        from trireme.cluster import access
        from trireme.dns import run

        env = environment(f"dns.{node.name}", started)
        async with access.client(cluster, f"dns.{node.name}", "kube-dns") as client:
            config = run.DnsConfig(client=client, domain=DOMAIN, held=held, resolvers=outside())
            await run.run(config, env)

    return main


def outside() -> tuple[tuple[str, int], ...]:
    """The resolvers of this machine's resolv.conf."""
    from trireme.dns import forward

    path = Path("/etc/resolv.conf")
    return tuple(forward.resolvers(path.read_text())) if path.exists() else ()
