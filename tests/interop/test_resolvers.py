"""What programs in pods see of our DNS: the resolvers of glibc, musl and busybox, as they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
]

# Serves a headless Service of as many pods as it is told, and an ExternalName to it, in namespaces
# of its own; then prints what the program after that says.
SERVER = """
import asyncio, logging, random, subprocess, sys
from trireme.api.core.v1.service import Service, ServiceSpec
from trireme.api.discovery.v1.endpointslice_types import Endpoint, EndpointSlice
from trireme.dns.chain import Chain
from trireme.dns.forward import Forwarder
from trireme.dns.server import listening
from trireme.dns.zone import Zone
from trireme.machinery.meta import ObjectMeta

async def main(v4, v6, resolv_conf, *program):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", resolv_conf, "/etc/resolv.conf"], check=True)
    zone = Zone("cluster.local")
    zone.set_namespace("shop", True)
    named = lambda name: ObjectMeta(name=name, namespace="shop")
    zone.set_service(Service(metadata=named("web"), spec=ServiceSpec(clusterIP="None")))
    outside = ServiceSpec(type="ExternalName", externalName="web.shop.svc.cluster.local")
    zone.set_service(Service(metadata=named("alias"), spec=outside))
    for family, count, form in (("IPv4", v4, "10.1.0.{}"), ("IPv6", v6, "fd00::{:x}")):
        slice_ = EndpointSlice(
            metadata=named(family.lower()),
            addressType=family,
            endpoints=[Endpoint(addresses=[form.format(i + 1)]) for i in range(int(count))],
        )
        slice_.metadata.labels = {"kubernetes.io/service-name": "web"}
        zone.set_slice(slice_)
    log = logging.getLogger()
    chain = Chain(zone, Forwarder([]), random.Random(1))
    async with listening((("127.0.0.1", 53),), chain, log):
        done = await asyncio.create_subprocess_exec(*program)
        sys.exit(await done.wait())

asyncio.run(main(*sys.argv[1:]))
"""

GLIBC = """
import json, socket, sys
found = socket.getaddrinfo(sys.argv[1], None, int(sys.argv[2]), socket.SOCK_STREAM)
print(json.dumps([item[4][0] for item in found]))
"""

MUSL = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_family = atoi(argv[2]), .ai_socktype = SOCK_STREAM}, *found, *at;
    int code = getaddrinfo(argv[1], 0, &hints, &found);
    if (code) { fprintf(stderr, "%s\n", gai_strerror(code)); return 1; }
    printf("[");
    for (at = found; at; at = at->ai_next) {
        char text[64];
        void *address = at->ai_family == AF_INET
            ? (void *)&((struct sockaddr_in *)at->ai_addr)->sin_addr
            : (void *)&((struct sockaddr_in6 *)at->ai_addr)->sin6_addr;
        inet_ntop(at->ai_family, address, text, sizeof text);
        printf("%s\"%s\"", at == found ? "" : ",", text);
    }
    printf("]\n");
    return 0;
}
"""

AF_UNSPEC, AF_INET = 0, 2
RESOLV_CONF = """nameserver 127.0.0.1
search shop.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
"""
counts = st.integers(0, 120)
names = st.sampled_from(["web", "web.shop", "alias", "web.shop.svc.cluster.local."])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resolvers")
    (folder / "resolv.conf").write_text(RESOLV_CONF)
    return folder


@cache
def musl(folder: Path) -> str:
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not here")
    (folder / "lookup.c").write_text(MUSL)
    program = str(folder / "lookup")
    subprocess.run(["musl-gcc", "-static", "-o", program, str(folder / "lookup.c")], check=True)
    return program


def observed(folder: Path, v4: int, v6: int, *program: str) -> str:
    """What a program prints in a pod of such a cluster, and that it does not take long."""
    command = ["unshare", "--net", "--mount", sys.executable, "-c", SERVER, str(v4), str(v6)]
    done = subprocess.run(
        [*command, str(folder / "resolv.conf"), *program],
        capture_output=True,
        text=True,
        # glibc gives up an unanswered question after 5 s.
        timeout=5,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def every(v4: int, v6: int) -> set[str]:
    return {f"10.1.0.{i + 1}" for i in range(v4)} | {f"fd00::{i + 1:x}" for i in range(v6)}


def examples(
    test: Callable[[Path, int, int, str], None],
) -> Callable[[Path, int, int, str], None]:
    ours = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    limited = settings(max_examples=15, deadline=None, suppress_health_check=ours)
    return limited(given(v4=st.integers(1, 120), v6=counts, name=names)(test))


@examples
def test_glibc_finds_every_pod(folder: Path, v4: int, v6: int, name: str) -> None:
    printed = observed(folder, v4, v6, sys.executable, "-c", GLIBC, name, str(AF_UNSPEC))
    assert set(json.loads(printed)) == every(v4, v6)


@examples
def test_musl_finds_as_many_pods_as_a_datagram_holds(
    folder: Path, v4: int, v6: int, name: str
) -> None:
    for family, found in (
        (AF_UNSPEC, every(v4, v6)),
        (AF_INET, every(v4, 0)),
    ):
        printed = observed(folder, v4, v6, musl(folder), name, str(family))
        addresses = set(json.loads(printed))
        assert addresses <= found
        # 12 bytes of header, 32 of the question, 16 for each; the alias takes one CNAME more.
        held = min(v4, 26) + (min(v6, 14) if family == AF_UNSPEC else 0)
        # musl takes 48 addresses of one name at most.
        assert len(addresses) >= min(held, 48)


@examples
def test_busybox_finds_as_many_pods_as_a_datagram_holds(
    folder: Path, v4: int, v6: int, name: str
) -> None:
    whole = "alias.shop.svc.cluster.local" if name == "alias" else "web.shop.svc.cluster.local"
    printed = observed(folder, v4, v6, "busybox", "nslookup", "-type=a", whole)
    lines = printed.partition(whole)[2].splitlines()
    addresses = {line.split()[-1] for line in lines if line.startswith("Address")}
    assert addresses <= every(v4, 0)
    assert len(addresses) >= min(v4, 26)
