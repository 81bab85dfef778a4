"""Rulesets in the real kernel: traffic goes where the Service says, and a difference is as good as
the whole. Each test runs in a network namespace of its own, which ends with it."""

import asyncio
import ctypes
import multiprocessing
import os
import random
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from trireme.proxy import plan, ruleset
from trireme.proxy.backends import nftables
from trireme.proxy.model import Endpoint, ServicePort
from trireme.proxy.plan import NodeFacts
from trireme.proxy.ruleset import Ruleset

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

TABLE = "trireme-test"
NODE = NodeFacts(addresses=("192.0.2.2",), pods=("10.244.0.0/16",), services=("10.96.0.0/12",))
CLONE_NEWNET = 0x40000000


def in_namespace(work: Callable[[], None]) -> None:
    """Run ``work`` in a child process with an empty network of its own."""
    parent, child = multiprocessing.Pipe()

    def body() -> None:
        try:
            assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0
            for command in (
                "ip link set lo up",
                "ip link add pods type bridge",
                "ip link set pods up",
                "ip address add 10.244.0.3/24 dev pods",
                "ip address add 10.244.0.4/24 dev pods",
                "ip address add 192.0.2.2/24 dev pods",
                "ip route add default dev pods",
            ):
                subprocess.run(command.split(), check=True)
            work()
            child.send("")
        except BaseException:
            child.send(traceback.format_exc())

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    problem = parent.recv() if parent.poll(60) else "nothing came back within a minute"
    process.join(5)
    assert not problem, problem


def endpoint(address: str, *, local: bool = True) -> Endpoint:
    return Endpoint(address, 8080, local, True, True, False)


def service(*endpoints: Endpoint, **changes: Any) -> ServicePort:
    given: dict[str, Any] = {
        "namespace": "default",
        "name": "web",
        "port_name": "http",
        "protocol": "tcp",
        "cluster_ip": "10.96.0.7",
        "port": 80,
        "node_port": 0,
        "external_ips": (),
        "load_balancer_ips": (),
        "source_ranges": (),
        "affinity": 0,
        "internal_local": False,
        "external_local": False,
        "cluster": endpoints,
        "local": tuple(item for item in endpoints if item.local),
        "any": bool(endpoints),
    }
    return ServicePort(**(given | changes))


def rules(*ports: ServicePort) -> Ruleset:
    return plan.combine([plan.part(port, NODE) for port in ports], NODE)


def serve(address: str, kind: int = socket.SOCK_STREAM) -> None:
    """A server that answers every connection or datagram with its own address."""
    listener = socket.socket(socket.AF_INET, kind)
    listener.bind((address, 8080))

    def streams() -> None:
        listener.listen()
        while True:
            connection, _ = listener.accept()
            connection.sendall(address.encode())
            connection.close()

    def datagrams() -> None:
        while True:
            _, client = listener.recvfrom(100)
            listener.sendto(address.encode(), client)

    target = streams if kind == socket.SOCK_STREAM else datagrams
    threading.Thread(target=target, daemon=True).start()


def ask(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=5) as connection:
        return connection.recv(100).decode()


def apply(backend: nftables.Nftables, expected: Ruleset) -> None:
    asyncio.run(backend.apply(expected))


def test_connections_spread_over_the_endpoints_and_follow_them() -> None:
    def work() -> None:
        serve("10.244.0.3")
        serve("10.244.0.4")
        backend = nftables.Nftables(TABLE)
        apply(backend, rules(service(endpoint("10.244.0.3"), endpoint("10.244.0.4"))))
        assert {ask("10.96.0.7", 80) for _ in range(40)} == {"10.244.0.3", "10.244.0.4"}
        apply(backend, rules(service(endpoint("10.244.0.4"))))
        assert {ask("10.96.0.7", 80) for _ in range(10)} == {"10.244.0.4"}

    in_namespace(work)


def test_no_endpoint_and_an_undefined_port_are_refused_at_once() -> None:
    def work() -> None:
        serve("10.244.0.3")
        backend = nftables.Nftables(TABLE)
        other = service(endpoint("10.244.0.3"), name="other", cluster_ip="10.96.0.8")
        apply(backend, rules(service(), other))
        for address, port in (("10.96.0.7", 80), ("10.96.0.8", 81)):
            with pytest.raises(ConnectionRefusedError):
                ask(address, port)
        assert ask("10.96.0.8", 80) == "10.244.0.3"

    in_namespace(work)


def test_node_ports_lead_to_the_endpoints() -> None:
    def work() -> None:
        serve("10.244.0.3")
        backend = nftables.Nftables(TABLE)
        apply(backend, rules(service(endpoint("10.244.0.3"), node_port=30080)))
        assert ask("192.0.2.2", 30080) == "10.244.0.3"
        apply(backend, rules(service(node_port=30080)))
        with pytest.raises(ConnectionRefusedError):
            ask("192.0.2.2", 30080)

    in_namespace(work)


def test_a_client_stays_with_its_endpoint() -> None:
    def work() -> None:
        serve("10.244.0.3")
        serve("10.244.0.4")
        both = (endpoint("10.244.0.3"), endpoint("10.244.0.4"))
        apply(nftables.Nftables(TABLE), rules(service(*both, affinity=60)))
        assert len({ask("10.96.0.7", 80) for _ in range(20)}) == 1

    in_namespace(work)


def test_udp_is_carried_too() -> None:
    def work() -> None:
        serve("10.244.0.3", socket.SOCK_DGRAM)
        apply(nftables.Nftables(TABLE), rules(service(endpoint("10.244.0.3"), protocol="udp")))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(b"?", ("10.96.0.7", 80))
            data, source = client.recvfrom(100)
        assert (data, source) == (b"10.244.0.3", ("10.96.0.7", 80))

    in_namespace(work)


def test_any_sequence_of_differences_is_the_whole() -> None:
    def listing() -> str:
        answer = subprocess.run(
            ["nft", "--stateless", "-s", "list", "table", "ip", TABLE],
            check=True,
            capture_output=True,
            text=True,
        )
        return "\n".join(sorted(line.strip() for line in answer.stdout.splitlines()))

    def random_ports(rng: random.Random) -> list[ServicePort]:
        found = []
        for number in range(rng.randint(0, 4)):
            selected = [
                endpoint(f"10.244.{net}.{host}", local=net == 0)
                for net in (0, 1)
                for host in range(rng.randint(0, 2))
            ]
            found.append(
                service(
                    *selected,
                    name=f"s{number}",
                    cluster_ip=f"10.96.0.{number + 10}",
                    node_port=rng.choice([0, 30000 + number]),
                    affinity=rng.choice([0, 0, 60, 90]),
                    internal_local=rng.random() < 0.3,
                    external_local=rng.random() < 0.3,
                    protocol=rng.choice(["tcp", "udp"]),
                )
            )
        return found

    def work() -> None:
        rng = random.Random(7)
        backend = nftables.Nftables(TABLE)
        for step in range(25):
            expected = rules(*random_ports(rng))
            apply(backend, expected)
            by_difference = listing()
            asyncio.run(nftables.run(ruleset.full("ip", TABLE, expected)))
            assert by_difference == listing(), f"step {step}"

    in_namespace(work)


def test_a_refused_transaction_changes_nothing_and_the_next_one_mends() -> None:
    def work() -> None:
        serve("10.244.0.3")
        backend = nftables.Nftables(TABLE)
        good = rules(service(endpoint("10.244.0.3")))
        apply(backend, good)
        bad = Ruleset(good.sets, {**good.chains, "broken": ruleset.Chain(("no such rule",))})
        with pytest.raises(nftables.NftFailed):
            apply(backend, bad)
        assert ask("10.96.0.7", 80) == "10.244.0.3"
        apply(backend, good)
        assert ask("10.96.0.7", 80) == "10.244.0.3"

    in_namespace(work)
