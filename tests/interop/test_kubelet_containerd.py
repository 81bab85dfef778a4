"""A kubelet with real containers: one node of a local cluster, its runtime, its cgroups."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path

import pytest

from tests.interop.real_node import AUTHORITY, RealNode, shell, waiting
from tests.kubelet.harness import pod
from trireme.api.core import v1 as core
from trireme.kit import spdy

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]


async def test_a_pod_with_config_probe_and_limits(node: RealNode) -> None:
    conf = core.ConfigMap(data={"index.html": "hello"})
    conf.metadata.name, conf.metadata.namespace = "page", "default"
    await node.api.put(conf)
    probe = core.Probe(
        httpGet=core.HTTPGetAction(path="/index.html", port="http", scheme="HTTP"),
        timeoutSeconds=1,
        periodSeconds=1,
        successThreshold=1,
        failureThreshold=3,
    )
    main = shell(
        "exec httpd -f -p 8080 -h /www",
        readinessProbe=probe,
        ports=[core.ContainerPort(name="http", containerPort=8080)],
        resources=core.ResourceRequirements(
            requests={"cpu": "100m", "memory": "16Mi"}, limits={"cpu": "500m", "memory": "32Mi"}
        ),
        volumeMounts=[core.VolumeMount(name="page", mountPath="/www")],
    )
    began = time.monotonic()
    made = await node.api.put(
        pod(
            "web",
            main,
            volumes=[core.Volume(name="page", configMap=core.ConfigMapVolumeSource(name="page"))],
        )
    )
    await node.until(lambda: node.phase("web") == "Running")
    print(f"running after {(time.monotonic() - began) * 1000:.0f} ms")
    await node.until(lambda: node.ready("web"))
    print(f"ready after {(time.monotonic() - began) * 1000:.0f} ms")
    status = node.api.pod("web").status
    assert status.podIP.startswith("10.")
    assert status.containerStatuses[0].containerID.startswith("containerd://")
    group = f"{node.config.cgroup_parent}/burstable/pod{made.metadata.uid}"
    assert node.cgroups.exists(group)
    if not node.cgroups.v2:
        limit = node.host.read(f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes")
        assert int(limit) == 32 << 20
    result = await node.runtime.exec_sync(
        status.containerStatuses[0].containerID.removeprefix("containerd://"),
        ["sh", "-c", "cat /etc/hosts /etc/resolv.conf; hostname; cat /www/index.html"],
        5,
    )
    text = result.stdout.decode()
    assert f"{status.podIP}\tweb" in text
    assert "nameserver 10.96.0.10" in text
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in text
    assert text.endswith("web\nhello")
    began = time.monotonic()
    await node.api.delete_pod("web", grace=5)
    await node.until(lambda: not node.api.has_pod("web"))
    print(f"gone after {(time.monotonic() - began) * 1000:.0f} ms")
    await node.until(lambda: not node.cgroups.exists(group))
    await node.until(lambda: not node.kubelet.workers.pods())
    assert node.host.list(f"{node.config.root_dir}/pods") == []
    assert node.host.list(node.config.logs_dir) == []


async def test_crash_message_logs_and_restart(node: RealNode) -> None:
    await node.api.put(
        pod("web", shell("echo out; echo err >&2; echo -n why > /dev/termination-log; exit 3"))
    )
    await node.until(lambda: waiting(node, "web") == "CrashLoopBackOff")
    status = node.api.pod("web").status.containerStatuses[0]
    ended = status.lastState.terminated
    assert (ended.exitCode, ended.reason, ended.message) == (3, "Error", "why")
    assert status.restartCount == 1


async def test_a_new_kubelet_adopts(node: RealNode) -> None:
    await node.api.put(pod("web", shell("exec sleep 1000")))
    await node.until(lambda: node.ready("web"))
    before = node.api.pod("web").status
    await node.stop()
    await node.start()
    await asyncio.sleep(1.5)
    assert node.api.pod("web").status == before


async def test_secret_tmpfs_subpath_users_and_tokens(node: RealNode) -> None:
    secret = core.Secret(data={"key": b"shh", "other": b"x"})
    secret.metadata.name, secret.metadata.namespace = "s", "default"
    await node.api.put(secret)
    main = shell(
        "id; ls -lnL /s /sub /run/token; cat /s/key /sub; touch /scratch/a && ls -lnd /scratch/a; "
        "stat -c 'part %a %g' /part; "
        "exec sleep 1000",
        securityContext=core.SecurityContext(runAsUser=1234),
        volumeMounts=[
            core.VolumeMount(name="s", mountPath="/s"),
            core.VolumeMount(name="s", mountPath="/sub", subPath="key"),
            core.VolumeMount(name="t", mountPath="/run/token"),
            core.VolumeMount(name="scratch", mountPath="/scratch"),
            core.VolumeMount(name="scratch", mountPath="/part", subPath="part"),
        ],
    )
    made = await node.api.put(
        pod(
            "web",
            main,
            securityContext=core.PodSecurityContext(fsGroup=4321),
            volumes=[
                core.Volume(
                    name="s", secret=core.SecretVolumeSource(secretName="s", defaultMode=256)
                ),
                core.Volume(name="scratch", emptyDir=core.EmptyDirVolumeSource(medium="Memory")),
                core.Volume(
                    name="t",
                    projected=core.ProjectedVolumeSource(
                        sources=[
                            core.VolumeProjection(
                                serviceAccountToken=core.ServiceAccountTokenProjection(
                                    path="token", expirationSeconds=600
                                )
                            )
                        ]
                    ),
                ),
            ],
        )
    )
    await node.until(lambda: node.ready("web"))
    await asyncio.sleep(0.3)
    text = node.host.read(
        f"{node.config.logs_dir}/default_web_{made.metadata.uid}/main/0.log"
    ).decode()
    assert "uid=1234 gid=0(root) groups=0(root),4321" in text
    assert "-r--r-----    1 0        4321             3" in text
    assert "-rw-r-----    1 1234     4321" in text or "-rw-rw----    1 1234     4321" in text
    assert text.count("shh") == 2
    # A directory of a sub-path has the volume's mode: a tmpfs is sticky.
    assert "part 3777 4321" in text
    assert len(node.host.mounts_below(f"{node.config.root_dir}/pods/{made.metadata.uid}")) == 5
    await node.api.delete_pod("web", grace=1)
    await node.until(lambda: not node.api.has_pod("web"))
    assert not node.host.mounts_below(node.config.root_dir)


async def test_logs_exec_and_port_forward(node: RealNode, tmp_path: Path) -> None:
    await node.api.put(
        pod(
            "web",
            shell("echo started; mkdir /www; echo hi > /www/x; exec httpd -f -p 8080 -h /www"),
        )
    )
    await node.until(lambda: node.ready("web"))
    tls = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    tls.load_cert_chain(tmp_path / "admin.pem")
    await asyncio.sleep(0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", 21250, ssl=tls)
    writer.write(
        b"GET /containerLogs/default/web/main HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert b"started\n" in await reader.read()

    out = await _session(
        tls,
        "/exec/default/web/main?command=sh&command=-c&command="
        "read+x;+echo+got+$x;+exit+7&input=1&output=1&error=1",
        ["error", "stdin", "stdout", "stderr"],
        {"stdin": b"word\n"},
    )
    assert out["stdout"] == b"got word\n"
    assert b'"ExitCode","message":"7"' in out["error"]

    out = await _session(
        tls,
        "/portForward/default/web",
        ["error", "data"],
        {"data": b"GET /x HTTP/1.0\r\n\r\n"},
        port="8080",
        protocol="portforward.k8s.io",
    )
    assert out["data"].endswith(b"hi\n")

    status, text = await _get(tls, "/stats/summary")
    assert status == 200
    assert '"name":"main"' in text


async def _get(tls: ssl.SSLContext, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", 21250, ssl=tls)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


async def _session(
    tls: ssl.SSLContext,
    path: str,
    streams: list[str],
    sent: dict[str, bytes],
    port: str = "",
    protocol: str = "v4.channel.k8s.io",
) -> dict[str, bytes]:
    """One SPDY session: what came on each stream until all had ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", 21250, ssl=tls)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        f"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocol}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head + await reader.read(1000)
    connection = spdy.Connection()
    extra = {"port": port, "requestID": "1"} if port else {}
    numbers = {connection.open({"streamType": name, **extra}): name for name in streams}
    for number, name in numbers.items():
        if name in sent:
            connection.send(number, sent[name], fin=name == "stdin")
    writer.write(connection.take())
    got = dict.fromkeys(streams, b"")
    left = {name for name in streams if name != "stdin"}
    async with asyncio.timeout(10):
        while left:
            data = await reader.read(65536)
            if not data:
                break
            for event in connection.receive(data):
                if isinstance(event, spdy.Data):
                    got[numbers[event.stream]] += event.data
                    if event.fin:
                        left.discard(numbers[event.stream])
                elif isinstance(event, spdy.Reset | spdy.GoneAway):
                    left.discard(numbers.get(getattr(event, "stream", 0), ""))
            writer.write(connection.take())
    writer.close()
    return got
