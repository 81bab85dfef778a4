"""A pod's own address reaches the backend behind a ClusterIP, whichever pod network was free."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from tests.interop.cluster import needs_kubectl, needs_root, running, until
from trireme.cluster.hosts.plan import POD_NETWORK

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

# One backend on the first node; a client on each.
MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: cgi}
data:
  ip: |
    #!/bin/sh
    printf 'Content-Type: text/plain\\r\\n\\r\\n'
    echo "$REMOTE_ADDR"
---
apiVersion: v1
kind: Service
metadata: {name: who}
spec: {selector: {app: who}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: who, labels: {app: who}}
spec:
  nodeName: node-0
  terminationGracePeriodSeconds: 0
  containers:
    - name: who
      image: busybox:stable
      command: [httpd, -f, -p, "80", -h, /www]
      volumeMounts: [{name: cgi, mountPath: /www/cgi-bin}]
      readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
  volumes: [{name: cgi, configMap: {name: cgi, defaultMode: 0755}}]
"""
CLIENT = """
---
apiVersion: v1
kind: Pod
metadata: {name: client-%(node)s}
spec:
  nodeName: %(node)s
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox:stable, command: [sleep, "1000"]}]
"""


@pytest.fixture
def taken() -> Iterator[None]:
    """The default pod network is somebody else's on this host."""
    route = ["ip", "route", "add", "blackhole", POD_NETWORK]
    subprocess.run(route, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", "blackhole", POD_NETWORK], check=True)


@pytest.mark.usefixtures("taken")
def test_the_client_is_seen_by_its_own_address() -> None:
    with running("t-source", "--nodes", "2") as kubectl:
        nodes = ("node-0", "node-1")
        clients = "".join(CLIENT % {"node": node} for node in nodes)
        kubectl("apply", "-f", "-", given=MANIFEST + clients)
        names = [f"pod/client-{node}" for node in nodes]
        kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/who", *names)
        for node in nodes:
            pod = kubectl.json("pod", f"client-{node}")
            ask = (
                pod["metadata"]["name"],
                "--",
                *["timeout", "3", "wget", "-qO-", "http://who/cgi-bin/ip"],
            )
            observed = until(partial(kubectl, "exec", *ask))
            address = pod["status"]["podIP"]
            # httpd listens on both families.
            assert observed.strip() == f"[::ffff:{address}]"
            assert not address.startswith("10.244.")
