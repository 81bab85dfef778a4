"""Pure parts: back-off, environment, names, files, quality of service, patches, admission."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kubelet.harness import container, pod

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod import qos
from trireme.kubelet import nanotime, podresources
from trireme.kubelet.admit import decide
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cgroups import plan as cgroups
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model, wire
from trireme.kubelet.cri.pb import cri_pb2 as pb
from trireme.kubelet.env import compute, downward, expand, services
from trireme.kubelet.gc import plan as gc
from trireme.kubelet.host.contract import DiskUsage
from trireme.kubelet.images import credentials, names
from trireme.kubelet.network import dns, hosts
from trireme.kubelet.node import status as node_status
from trireme.kubelet.node.machine import Machine
from trireme.kubelet.status import patch
from trireme.kubelet.sync import compute as make
from trireme.kubelet.sync import security


def resources(requests: dict | None = None, limits: dict | None = None) -> core.Container:
    return container(
        "a", resources=core.ResourceRequirements(requests=requests or {}, limits=limits or {})
    )


def test_back_off_doubles_to_its_maximum_and_forgets() -> None:
    backoff, now = Backoff(), 0.0
    delays = []
    for _ in range(7):
        delays.append(backoff.next("k", now, now))
        now += delays[-1]
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert backoff.waiting("k", now, now + 299)
    assert not backoff.waiting("k", now, now + 300)
    assert backoff.next("k", now + 1000, now + 1000) == 10
    assert not backoff.waiting("other", now, now)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("a$(A)b$(A)", "a1b1"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$$", "$"),
        ("$x", "$x"),
        ("$()", "$()"),
        ("$$$(A)", "$1"),
        ("$(E)", ""),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand.expand(text, {"A": "1", "E": ""}) == expected


@given(st.text())
def test_expansion_without_references_changes_nothing(text: str) -> None:
    assert expand.expand(text.replace("$", ""), {"A": "1"}) == text.replace("$", "")


def service(name: str, namespace: str, *ports: core.ServicePort) -> core.Service:
    result = core.Service(spec=core.ServiceSpec(clusterIP="10.0.0.9", ports=list(ports)))
    result.metadata.name, result.metadata.namespace = name, namespace
    return result


def test_service_variables() -> None:
    api = service("kubernetes", "default", core.ServicePort(name="https", port=443))
    db = service("my-db", "x", core.ServicePort(name="sql-a", port=5432, protocol="TCP"))
    found = services.variables([api, db], "x", links=True)
    assert found["KUBERNETES_SERVICE_HOST"] == "10.0.0.9"
    assert found["MY_DB_SERVICE_PORT_SQL_A"] == "5432"
    assert found["MY_DB_PORT"] == "tcp://10.0.0.9:5432"
    assert found["MY_DB_PORT_5432_TCP_ADDR"] == "10.0.0.9"
    assert not any(
        name.startswith("MY_DB") for name in services.variables([api, db], "x", links=False)
    )


def test_environment_order_and_sources() -> None:
    conf = core.ConfigMap(data={"a": "1", "b": "2"})
    secret = core.Secret(data={"p": b"pw"})
    spec = container(
        "main",
        envFrom=[core.EnvFromSource(prefix="C_", configMapRef=core.ConfigMapEnvSource(name="c"))],
        env=[
            core.EnvVar(name="X", value="$(C_a)-$(LATER)"),
            core.EnvVar(name="LATER", value="z"),
            core.EnvVar(name="C_b", value="over"),
            core.EnvVar(
                name="PW",
                valueFrom=core.EnvVarSource(secretKeyRef=core.SecretKeySelector(name="s", key="p")),
            ),
            core.EnvVar(
                name="NONE",
                valueFrom=core.EnvVarSource(
                    secretKeyRef=core.SecretKeySelector(name="s", key="q", optional=True)
                ),
            ),
            core.EnvVar(
                name="IP",
                valueFrom=core.EnvVarSource(
                    fieldRef=core.ObjectFieldSelector(fieldPath="status.podIP")
                ),
            ),
            core.EnvVar(
                name="NAME",
                valueFrom=core.EnvVarSource(
                    fieldRef=core.ObjectFieldSelector(fieldPath="metadata.name")
                ),
            ),
            core.EnvVar(
                name="CPU",
                valueFrom=core.EnvVarSource(
                    resourceFieldRef=core.ResourceFieldSelector(resource="limits.cpu")
                ),
            ),
            core.EnvVar(
                name="FILE",
                valueFrom=core.EnvVarSource(
                    fileKeyRef=core.FileKeySelector(volumeName="v", path="f", key="KEY")
                ),
            ),
        ],
    )
    of = pod("web", spec)
    assert compute.references(spec) == {("ConfigMap", "c"), ("Secret", "s")}
    found = compute.compute(
        compute.Inputs(
            pod=of,
            container=spec,
            objects={("ConfigMap", "c"): conf, ("Secret", "s"): secret},
            pod_ips=("10.0.0.1",),
            allocatable={"cpu": "3500m"},
            env_file=lambda ref: b"KEY='of the file'",
        )
    )
    assert found == {
        "C_a": "1",
        "C_b": "over",
        "X": "1-$(LATER)",
        "LATER": "z",
        "PW": "pw",
        "IP": "10.0.0.1",
        "NAME": "web",
        "CPU": "4",
        "FILE": "of the file",
    }


def test_downward_fields() -> None:
    of = pod("web")
    of.metadata.labels = {"b": "2", "a": 'q"'}
    assert downward.field(of, "metadata.labels") == 'a="q\\""\nb="2"'
    assert downward.field(of, "metadata.labels['b']") == "2"
    assert downward.field(of, "metadata.annotations['none']") == ""
    with pytest.raises(downward.Unsupported):
        downward.field(of, "spec.nodeName")


def test_host_names_and_hosts_file() -> None:
    of = pod(
        "web-0",
        hostname="h",
        subdomain="sub",
        hostAliases=[core.HostAlias(ip="1.2.3.4", hostnames=["a", "b"])],
    )
    assert hosts.hostname_and_domain(of, "cluster.local") == ("h", "sub.default.svc.cluster.local")
    text = hosts.hosts_file(["10.0.0.1"], "h", "sub.default.svc.cluster.local", of.spec.hostAliases)
    assert "10.0.0.1\th.sub.default.svc.cluster.local\th\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")
    assert len(hosts.hostname_and_domain(pod("x" * 62 + "-y"), "c")[0]) == 62
    of = pod("p", hostnameOverride="a" * 62 + ".b", subdomain="s")
    assert hosts.hostname_and_domain(of, "c") == ("a" * 62, "")


NODE_DNS = dns.NodeDNS(
    model.DNSConfig(servers=["9.9.9.9"], searches=["example.org"]), ("10.96.0.10",), "cluster.local"
)


@pytest.mark.parametrize(
    ("policy", "host_network", "servers", "searches"),
    [
        ("ClusterFirst", False, ["10.96.0.10"], 4),
        ("ClusterFirst", True, ["9.9.9.9"], 1),
        ("ClusterFirstWithHostNet", True, ["10.96.0.10"], 4),
        ("Default", False, ["9.9.9.9"], 1),
        ("None", False, [], 0),
    ],
)
def test_dns_policies(policy: str, host_network: bool, servers: list, searches: int) -> None:
    of = pod("web", hostNetwork=host_network)
    of.spec.dnsPolicy = policy
    found, _ = dns.pod_dns(of, NODE_DNS)
    assert found.servers == servers
    assert len(found.searches) == searches


def test_dns_config_is_added_and_limited() -> None:
    of = pod(
        "web",
        dnsConfig=core.PodDNSConfig(
            nameservers=["1.1.1.1", "2.2.2.2", "3.3.3.3"],
            searches=["x.org"],
            options=[
                core.PodDNSConfigOption(name="ndots", value="2"),
                core.PodDNSConfigOption(name="edns0"),
            ],
        ),
    )
    found, warnings = dns.pod_dns(of, NODE_DNS)
    assert found.servers == ["10.96.0.10", "1.1.1.1", "2.2.2.2"]
    assert found.options == ["ndots:2", "edns0"]
    assert "Nameserver limits were exceeded" in warnings[0]


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1"}, {"cpu": "1"}, "Burstable"),
        ({"example.org/gpu": "1"}, {}, "BestEffort"),
    ],
)
def test_qos_classes(requests: dict, limits: dict, expected: str) -> None:
    assert qos.of(pod("p", resources(requests, limits)).spec) == expected


def test_requests_are_the_peak_of_init_and_run() -> None:
    of = pod(
        "p",
        resources({"cpu": "500m"}),
        initContainers=[
            container(
                "s",
                restartPolicy="Always",
                resources=core.ResourceRequirements(requests={"cpu": "100m"}),
            ),
            container("i", resources=core.ResourceRequirements(requests={"cpu": "2"})),
        ],
        overhead={"cpu": "50m"},
    )
    assert podresources.pod_requests(of) == {"cpu": 2150}


@pytest.mark.parametrize(
    ("milli", "shares", "quota"),
    [
        (0, 2, 0),
        (1, 2, 1000),
        (100, 102, 10_000),
        (1000, 1024, 100_000),
        (300_000, 262_144, 30_000_000),
    ],
)
def test_cgroup_numbers(milli: int, shares: int, quota: int) -> None:
    assert podresources.cpu_shares(milli) == shares
    assert podresources.cpu_quota(milli) == quota
    assert 1 <= podresources.cpu_weight(shares) <= 10_000


def with_limits(name: str, **limits: str) -> core.Container:
    return container(name, resources=core.ResourceRequirements(limits=limits))


def test_a_proc_mount_and_the_groups_of_an_image() -> None:
    unmasked = container("a", securityContext=core.SecurityContext(procMount="Unmasked"))
    strict = core.PodSecurityContext(supplementalGroupsPolicy="Strict", supplementalGroups=[7])
    of = pod("p", unmasked, container("b"), securityContext=strict)
    a, b = (security.of_container(of, each, 0, "", "") for each in of.spec.containers)
    assert (a.masked_paths, a.readonly_paths) == ([], [])
    assert "/proc/kcore" in b.masked_paths and "/proc/sys" in b.readonly_paths
    # CRI's SupplementalGroupsPolicy: Merge is 0, Strict 1.
    assert (b.supplemental_groups, b.supplemental_groups_policy) == ([7], 1)
    assert security.of_sandbox(of).supplemental_groups_policy == 1
    assert security.of_sandbox(pod("q")).supplemental_groups_policy == 0


@pytest.mark.parametrize(
    ("mode", "supported", "recursive"),
    [("Enabled", True, True), ("IfPossible", False, False), ("Disabled", True, False)],
)
def test_recursive_read_only_mounts(mode: str, supported: bool, recursive: bool) -> None:
    of = core.VolumeMount(name="v", mountPath="/v", readOnly=True, recursiveReadOnly=mode)
    assert make.mount(of, "/host", recursive_read_only=supported).recursive_read_only is recursive


def test_a_recursive_read_only_mount_that_cannot_be() -> None:
    of = core.VolumeMount(name="v", mountPath="/v", readOnly=True, recursiveReadOnly="Enabled")
    with pytest.raises(ValueError, match="recursive read-only mode"):
        make.mount(of, "/host", recursive_read_only=False)


def test_containers_share_the_limits_of_their_pod() -> None:
    of = pod("p", with_limits("a", memory="1Gi"), with_limits("b", cpu="0"))
    of.spec.resources = core.ResourceRequirements(
        limits={"cpu": "2", "memory": "4Gi", "hugepages-2Mi": "8Mi"}
    )
    a, b = of.spec.containers
    assert podresources.container_limits(of, a) == {
        "memory": "1Gi",
        "cpu": "2",
        "hugepages-2Mi": "8Mi",
    }
    assert podresources.container_limits(of, b) == of.spec.resources.limits
    got = make.resources(of, b, 8 << 30, False)
    assert (got.cpu_quota, got.memory_limit_in_bytes) == (200_000, 4 << 30)
    # Without a request of its own, a container's share of the processors is its limit.
    assert got.cpu_shares == 2048
    limit = core.ResourceFieldSelector(containerName="a", resource="limits.cpu")
    assert downward.resource(of, limit, "a", {"cpu": "7"}) == "2"
    limit = core.ResourceFieldSelector(containerName="a", resource="limits.memory", divisor="1Gi")
    assert downward.resource(of, limit, "a", {"memory": "64Gi"}) == "1"


def test_a_pod_has_a_limit_when_whoever_runs_has_one() -> None:
    def declared(*init: core.Container, **limits: str) -> bool:
        return podresources.all_declare(
            pod("p", with_limits("a", **limits), initContainers=list(init)), "cpu"
        )

    sidecar = with_limits("s", cpu="1")
    sidecar.restartPolicy = "Always"
    assert declared(cpu="1")
    assert not declared()
    assert not declared(with_limits("i"), cpu="1")
    assert not declared(with_limits("i"), sidecar, cpu="1")
    # An init container runs beside the sidecars before it, and their limits add up.
    assert declared(sidecar, with_limits("i"), cpu="1")
    zero = pod("p", with_limits("a"))
    zero.spec.resources = core.ResourceRequirements(limits={"cpu": "0"})
    assert not podresources.all_declare(zero, "cpu")


def test_overhead_adds_to_limits_that_there_are() -> None:
    of = pod("p", with_limits("a", memory="1Gi"), overhead={"cpu": "1", "memory": "1Gi"})
    assert podresources.pod_limits(of) == {"memory": 2 << 30}


def test_oom_scores() -> None:
    gi = 1 << 30
    burst = resources({"memory": "1Gi"})
    assert podresources.oom_score_adj(pod("p", burst), burst, 4 * gi) == 750
    none = resources()
    assert podresources.oom_score_adj(pod("p", none), none, 4 * gi) == 1000
    both = {"cpu": "1", "memory": "1Gi"}
    full = resources(both, both)
    assert podresources.oom_score_adj(pod("p", full), full, 4 * gi) == -997
    # What the pod requests beyond its containers is theirs in equal parts.
    shared = pod("p", burst, none)
    shared.spec.resources = core.ResourceRequirements(requests={"memory": "2Gi"})
    assert podresources.oom_score_adj(shared, burst, 4 * gi) == 625
    assert podresources.oom_score_adj(shared, none, 4 * gi) == 875


def test_pod_cgroups() -> None:
    of = pod("p", resources({"cpu": "1"}, {"cpu": "2"}))
    of.metadata.uid = "u"
    assert cgroups.pod_path("/k", of) == "/k/burstable/podu"
    assert cgroups.pod_limits(of) == cgroups.Limits(1024, 200_000, 0)
    assert cgroups.v2_files(cgroups.Limits(1024, 200_000, 1 << 20)) == {
        "cpu.weight": "39",
        "cpu.max": "200000 100000",
        "memory.max": "1048576",
    }


def test_image_names() -> None:
    assert names.with_tag("busybox") == "busybox:latest"
    assert names.with_tag("localhost:5000/a") == "localhost:5000/a:latest"
    assert names.parse("quay.io/a/b:v1").repository == "quay.io/a/b"
    with pytest.raises(ValueError, match="must be lowercase"):
        names.parse("Bad")


def test_credentials_match_hosts_and_paths() -> None:
    config = {
        "auths": {
            "https://index.docker.io/v1/": {"auth": "dTpw"},
            "*.example.org/team": {"username": "t", "password": "x"},
        }
    }
    secret = core.Secret(
        type=credentials.DOCKER_JSON, data={".dockerconfigjson": msgspec.json.encode(config)}
    )
    (found,) = credentials.matching([secret], "docker.io/library/busybox")
    assert (found.username, found.password) == ("u", "p")
    assert credentials.matching([secret], "r.example.org/team/app")[0].username == "t"
    assert credentials.matching([secret], "r.example.org/other") == []


@pytest.mark.parametrize(
    ("kind", "key", "document"),
    [
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": {"docker.io": "u:p"}}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": {"docker.io": {"auth": 1}}}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b'{"auths": ["docker.io"]}'),
        (credentials.DOCKER_JSON, ".dockerconfigjson", b"[]"),
        (credentials.DOCKER_CFG, ".dockercfg", b'{"docker.io": ["u", "p"]}'),
        (credentials.DOCKER_CFG, ".dockercfg", b'"'),
    ],
)
def test_pull_secrets_of_another_shape_are_refused(kind: str, key: str, document: bytes) -> None:
    secret = core.Secret(type=kind, data={key: document})
    with pytest.raises(ValueError, match="cannot be read"):
        credentials.matching([secret], "docker.io/library/busybox")


@pytest.mark.parametrize("auths", [b"null", b'{"docker.io": null}', b'{"docker.io": {}}'])
def test_pull_secrets_may_hold_nothing(auths: bytes) -> None:
    document = b'{"auths": %s}' % auths
    secret = core.Secret(type=credentials.DOCKER_JSON, data={".dockerconfigjson": document})
    assert credentials.matching([secret], "docker.io/library/busybox") == []


def test_status_patches_delete_what_left_a_keyed_list() -> None:
    before = core.PodStatus(
        podIPs=[core.PodIP(ip="1"), core.PodIP(ip="2")],
        podIP="1",
        conditions=[core.PodCondition(type="Ready", status="False", reason="x")],
    )
    after = core.PodStatus(
        podIPs=[core.PodIP(ip="2")], conditions=[core.PodCondition(type="Ready", status="True")]
    )
    made = patch.status_patch("u", before, after)
    assert made is not None
    assert made["metadata"] == {"uid": "u"}
    assert made["status"]["podIPs"] == [{"$patch": "delete", "ip": "1"}]
    assert made["status"]["podIP"] is None
    (condition,) = made["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", None)
    assert patch.status_patch("u", after, after) is None


def condition(kind: str, status: str = "True", reason: str = "") -> core.PodCondition:
    return core.PodCondition(type=kind, status=status, reason=reason)


def test_status_patches_hold_only_what_the_kubelet_owns() -> None:
    """``present`` is newer than the status that we computed: others have written meanwhile."""
    present = core.PodStatus(
        phase="Pending",
        nominatedNodeName="n",
        conditions=[
            condition("example.com/gate", "False"),
            condition("DisruptionTarget", reason="PreemptionByScheduler"),
            condition("PodScheduled"),
        ],
        resourceClaimStatuses=[core.PodResourceClaimStatus(name="c", resourceClaimName="x")],
    )
    computed = core.PodStatus(
        phase="Running",
        conditions=[
            condition("example.com/gate"),
            condition("DisruptionTarget", "False", "Older"),
            condition("Ready"),
            condition("PodScheduled"),
        ],
    )
    made = patch.status_patch("u", present, computed)
    assert made is not None
    (written,) = made["status"].pop("conditions")
    assert (written["type"], written["status"]) == ("Ready", "True")
    assert made["status"] == {"phase": "Running"}
    # What we own goes when it is no longer so.
    made = patch.status_patch("u", computed, core.PodStatus(phase="Running"))
    assert made is not None
    assert made["status"]["conditions"] == [
        {"$patch": "delete", "type": "Ready"},
        {"$patch": "delete", "type": "PodScheduled"},
    ]


def test_a_disruption_of_our_own_is_written_over_anothers() -> None:
    ours = core.PodStatus(conditions=[condition("DisruptionTarget", reason="TerminationByKubelet")])
    theirs = core.PodStatus(
        conditions=[condition("DisruptionTarget", reason="EvictionByEvictionAPI")]
    )
    for present in (core.PodStatus(), theirs):
        made = patch.status_patch("u", present, ours)
        assert made is not None
        (written,) = made["status"]["conditions"]
        assert written["reason"] == "TerminationByKubelet"
    assert patch.status_patch("u", ours, ours) is None
    assert patch.status_patch("u", ours, core.PodStatus()) is None


VIEW = decide.NodeView("n", {"zone": "a", "size": "5"}, {"cpu": "2", "memory": "1Gi", "pods": "2"})


def affinity(operator: str, values: list[str], key: str = "zone") -> core.Affinity:
    return core.Affinity(
        nodeAffinity=core.NodeAffinity(
            requiredDuringSchedulingIgnoredDuringExecution=core.NodeSelector(
                nodeSelectorTerms=[
                    core.NodeSelectorTerm(
                        matchExpressions=[
                            core.NodeSelectorRequirement(key=key, operator=operator, values=values)
                        ]
                    )
                ]
            )
        )
    )


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"nodeSelector": {"zone": "b"}}, "NodeAffinity"),
        ({"affinity": affinity("In", ["a"])}, None),
        ({"affinity": affinity("NotIn", ["a"])}, "NodeAffinity"),
        ({"affinity": affinity("Gt", ["4"], "size")}, None),
        ({"affinity": affinity("Lt", ["4"], "size")}, "NodeAffinity"),
        ({"os": core.PodOS(name="windows")}, "PodOSNotSupported"),
        ({"hostUsers": False}, "UnexpectedAdmissionError"),
        (
            {
                "securityContext": core.PodSecurityContext(
                    sysctls=[core.Sysctl(name="kernel.msgmax", value="1")]
                )
            },
            "SysctlForbidden",
        ),
    ],
)
def test_admission(spec: dict, reason: str | None) -> None:
    failure = decide.decide(pod("p", **spec), [], VIEW)
    assert (failure.reason if failure else None) == reason


def test_admission_counts_pods_ports_and_resources() -> None:
    port = container("a", ports=[core.ContainerPort(containerPort=1, hostPort=80)])
    assert decide.decide(pod("p", port), [pod("o", port)], VIEW).reason == "NodePorts"
    assert decide.decide(pod("p"), [pod("1"), pod("2")], VIEW).reason == "OutOfpods"
    big = resources({"memory": "600Mi"})
    assert decide.decide(pod("p", big), [pod("o", big)], VIEW).reason == "OutOfmemory"


def test_admission_counts_only_the_extended_resources_that_the_node_has() -> None:
    one = resources({"example.com/foo": "1"})
    assert decide.decide(pod("p", one), [], VIEW) is None
    has = msgspec.structs.replace(VIEW, allocatable={**VIEW.allocatable, "example.com/foo": "1"})
    assert decide.decide(pod("p", one), [], has) is None
    assert decide.decide(pod("p", one), [pod("o", one)], has).reason == "OutOfexample.com/foo"
    huge = resources({"hugepages-2Mi": "2Mi"})
    assert decide.decide(pod("p", huge), [], VIEW).reason == "OutOfhugepages-2Mi"


def test_the_nodes_status_keeps_what_others_advertise() -> None:
    facts = node_status.Facts(
        config=KubeletConfig(node_name="n", node_ips=("10.0.0.1",)),
        machine=Machine(),
        health=node_status.Health(),
        version=model.Version(),
        runtime=model.Status(),
    )
    given = {"example.com/foo": "5", "hugepages-1Gi": "1Gi", "cpu": "1"}
    after = node_status.status(facts, core.NodeStatus(capacity=given, allocatable={}))
    assert after.capacity["example.com/foo"] == after.allocatable["example.com/foo"] == "5"
    assert after.capacity["cpu"] == "4" and "hugepages-1Gi" not in after.capacity


def test_image_garbage_goes_oldest_first() -> None:
    images = [model.Image(id=i, size=10) for i in ("a", "b", "c")]
    uses = {"a": gc.ImageUse(0, 50), "b": gc.ImageUse(0, 10), "c": gc.ImageUse(95, 0)}
    full = DiskUsage(100, 10, 0, 0)
    assert gc.images_to_remove(images, uses, {"x"}, full, high=85, low=80, min_age=20, now=100) == [
        "b"
    ]
    assert gc.images_to_remove(images, uses, {"b"}, full, high=85, low=80, min_age=20, now=100) == [
        "a"
    ]
    assert (
        gc.images_to_remove(
            images, uses, (), DiskUsage(100, 50, 0, 0), high=85, low=80, min_age=0, now=100
        )
        == []
    )


@given(st.integers(0, 4 * 10**18))
def test_nanosecond_stamps(nanos: int) -> None:
    assert nanotime.parse_nanos(nanotime.fixed_nanos(nanos)) == nanos


def test_stamps_with_offsets() -> None:
    assert nanotime.parse_nanos("1970-01-01T01:00:00.5+01:00") == 500_000_000


def test_cri_values_survive_the_wire() -> None:
    config = model.ContainerConfig(
        metadata=model.ContainerMetadata(name="a", attempt=2),
        image=model.ImageSpec(image="i"),
        envs=[model.KeyValue(key="k", value=b"\xff")],
        labels={"a": "b"},
        mounts=[model.Mount(container_path="/c", host_path="/h", readonly=True)],
        linux=model.LinuxContainerConfig(
            resources=model.LinuxResources(cpu_shares=5, unified={"memory.oom.group": "1"}),
            security_context=model.ContainerSecurityContext(
                run_as_user=0, seccomp=model.SecurityProfile(profile_type=1)
            ),
        ),
    )
    message = wire.fill(pb.ContainerConfig(), config)
    assert wire.read(model.ContainerConfig, message) == config


def test_a_condition_keeps_the_time_of_its_last_transition() -> None:
    def conditions(before: list[core.NodeCondition], now: float, problem: str) -> dict:
        facts = node_status.Facts(
            config=KubeletConfig(node_name="n", node_ips=("10.0.0.1",)),
            machine=Machine(),
            health=node_status.Health(not_ready=problem, memory_available=1 << 40),
            version=model.Version(),
            runtime=model.Status(),
            now=now,
        )
        return {found.type: found for found in node_status.conditions(facts, before)}

    first = conditions([], 10.0, "")
    later = conditions([*first.values()], 20.0, "the network is not ready")
    assert later["Ready"].status == "False"
    assert later["Ready"].lastTransitionTime == later["Ready"].lastHeartbeatTime
    kept = later["MemoryPressure"]
    assert kept.lastTransitionTime == first["MemoryPressure"].lastTransitionTime
    assert kept.lastTransitionTime != kept.lastHeartbeatTime
