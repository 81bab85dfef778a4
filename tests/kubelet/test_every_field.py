"""Every field of a pod's specification and of its containers does what it says.

``PROOFS`` names for each field a test that shows that it acts, or that it is refused by name; a
field without a row, and a row whose test is gone, fail here. What only changes the configuration
that the runtime gets is shown by the tests below.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.kubelet.harness import container, pod

from trireme.api.core import v1 as core
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.kubelet import podspec
from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import NamespaceMode
from trireme.kubelet.env import compute as environment
from trireme.kubelet.sync import compute

TESTS = Path(__file__).parent.parent
HERE = "kubelet/test_every_field.py"
LIFECYCLE, SOURCES = "kubelet/stories/test_lifecycle.py", "kubelet/stories/test_sources.py"
NAMES, ADMISSION = "kubelet/values/test_names.py", "kubelet/values/test_admission.py"
PLAN, PROBES = "kubelet/test_plan.py", "kubelet/stories/test_probes.py"
LOOP = "scheduler/test_scheduler_loop.py"
PLUGINS = "apiserver/admission/test_plugins.py"

PROOFS = {
    PodSpec: {
        "volumes": f"{SOURCES}::test_config_maps_reach_files_and_environment",
        "initContainers": f"{PLAN}::test_sidecars_gate_the_next_init_container",
        "containers": f"{LIFECYCLE}::test_a_pod_runs_is_ready_and_goes",
        "ephemeralContainers": f"{PLAN}::test_ephemeral_containers_start_once",
        "restartPolicy": f"{PLAN}::test_restart_policy",
        "terminationGracePeriodSeconds": f"{HERE}::test_the_grace_of_a_pod",
        "activeDeadlineSeconds": f"{LIFECYCLE}::test_an_active_deadline_ends_the_pod",
        "dnsPolicy": f"{NAMES}::test_dns_policies",
        "nodeSelector": f"{ADMISSION}::test_admission",
        "serviceAccountName": f"{PLUGINS}::test_every_pod_gets_an_account_and_its_token",
        "serviceAccount": f"{PLUGINS}::test_every_pod_gets_an_account_and_its_token",
        "automountServiceAccountToken": f"{PLUGINS}::test_the_pod_decides_over_its_account",
        "nodeName": f"{LIFECYCLE}::test_a_pod_runs_is_ready_and_goes",
        "hostNetwork": f"{HERE}::test_namespaces_of_the_host",
        "hostPID": f"{HERE}::test_namespaces_of_the_host",
        "hostIPC": f"{HERE}::test_namespaces_of_the_host",
        "shareProcessNamespace": f"{HERE}::test_namespaces_of_the_host",
        "securityContext": f"{HERE}::test_the_security_context_of_the_pod",
        "imagePullSecrets": f"{SOURCES}::test_a_pull_secret_of_another_shape_is_a_pull_failure",
        "hostname": f"{NAMES}::test_host_names_and_hosts_file",
        "subdomain": f"{NAMES}::test_host_names_and_hosts_file",
        "affinity": f"{ADMISSION}::test_admission",
        "schedulerName": f"{LOOP}::test_pods_of_other_schedulers_are_left_alone",
        "tolerations": "controllers/test_daemonset_plan.py::test_which_nodes_fit",
        "hostAliases": f"{NAMES}::test_host_names_and_hosts_file",
        "priorityClassName": f"{LOOP}::test_a_more_important_pod_takes_the_place_of_another",
        "priority": "scheduler/test_preempt.py::test_the_plan_makes_room_and_no_victim_is_needless",
        "dnsConfig": f"{NAMES}::test_dns_config_is_added_and_limited",
        "readinessGates": "kubelet/stories/test_node.py::"
        "test_conditions_that_others_write_meanwhile_stay",
        "runtimeClassName": f"{LIFECYCLE}::test_a_runtime_class_selects_the_handler",
        "enableServiceLinks": f"{HERE}::test_links_to_services",
        "preemptionPolicy": f"{LOOP}::test_a_pod_that_never_preempts_waits",
        "overhead": "kubelet/values/test_resources.py::test_overhead_adds_to_limits_that_there_are",
        "topologySpreadConstraints": f"{LOOP}::test_required_spreading_keeps_zones_even",
        "setHostnameAsFQDN": f"{HERE}::test_a_host_name_with_its_domain",
        "os": f"{ADMISSION}::test_admission",
        "hostUsers": f"{ADMISSION}::test_admission",  # refused
        "schedulingGates": f"{LOOP}::test_a_gated_pod_waits_for_its_gates",
        "resourceClaims": f"{LOOP}::test_a_pod_with_resource_claims_waits",  # refused
        "resources": "kubelet/stories/test_resize.py::test_pod_level_resources_are_resized",
        "hostnameOverride": f"{NAMES}::test_host_names_and_hosts_file",
        "schedulingGroup": "controllers/test_pod_groups.py::test_pods_that_run_keep_their_group",
    },
    Container: {
        "name": f"{HERE}::test_what_the_runtime_gets",
        "image": f"{SOURCES}::test_pull_failures_show_their_reasons",
        "command": f"{HERE}::test_what_the_runtime_gets",
        "args": f"{HERE}::test_what_the_runtime_gets",
        "workingDir": f"{HERE}::test_what_the_runtime_gets",
        "ports": f"{ADMISSION}::test_admission_counts_pods_ports_and_resources",
        "envFrom": "kubelet/values/test_environment.py::test_environment_order_and_sources",
        "env": "kubelet/values/test_environment.py::test_environment_order_and_sources",
        "resources": "kubelet/stories/test_resize.py::"
        "test_a_resize_changes_the_cgroups_of_a_running_container",
        "resizePolicy": "kubelet/stories/test_resize.py::"
        "test_a_policy_restarts_the_container_and_not_the_others",
        "restartPolicy": f"{PLAN}::test_a_container_policy_overrides_the_pods",
        "restartPolicyRules": f"{PLAN}::test_a_container_policy_overrides_the_pods",
        "volumeMounts": f"{SOURCES}::test_config_maps_reach_files_and_environment",
        "volumeDevices": "kubelet/test_csi.py::test_a_block_device",
        "livenessProbe": f"{PROBES}::test_readiness_liveness_and_startup_probes",
        "readinessProbe": f"{PROBES}::test_readiness_liveness_and_startup_probes",
        "startupProbe": f"{PROBES}::test_readiness_liveness_and_startup_probes",
        "lifecycle": "kubelet/stories/test_termination.py::test_pre_stop_runs_within_the_grace",
        "terminationMessagePath": f"{HERE}::test_what_the_runtime_gets",
        "terminationMessagePolicy": "security/test_what_a_pod_says_is_bounded.py::"
        "test_the_end_of_a_long_log_is_kept",
        "imagePullPolicy": f"{SOURCES}::test_pull_failures_show_their_reasons",
        "securityContext": "kubelet/values/test_resources.py::"
        "test_a_proc_mount_and_the_groups_of_an_image",
        "stdin": f"{HERE}::test_what_the_runtime_gets",
        "stdinOnce": f"{HERE}::test_what_the_runtime_gets",
        "tty": f"{HERE}::test_what_the_runtime_gets",
    },
}
ROWS = [(kind, field) for kind, rows in PROOFS.items() for field in rows]


@pytest.mark.parametrize("kind", PROOFS)
def test_every_field_has_a_row(kind: Any) -> None:
    assert set(PROOFS[kind]) == set(kind.__struct_fields__)


@pytest.mark.parametrize(("kind", "field"), ROWS)
def test_its_proof_is_there(kind: Any, field: str) -> None:
    path, _, name = PROOFS[kind][field].partition("::")
    assert name in names_in(path)


@cache
def names_in(path: str) -> frozenset[str]:
    """The test functions of a file below tests/."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    parsed = ast.parse((TESTS / path).read_text())
    return frozenset(item.name for item in ast.walk(parsed) if isinstance(item, functions))


def sandbox_of(of: core.Pod) -> model.SandboxConfig:
    return compute.sandbox(
        compute.SandboxInputs(
            pod=of,
            attempt=0,
            log_directory="/logs",
            cgroup_parent="/kubepods/p",
            cluster_domain="cluster.local",
            dns=model.DNSConfig(),
        )
    )


def config_of(of: core.Container) -> model.ContainerConfig:
    return compute.container(
        compute.ContainerInputs(
            pod=pod("p", of),
            container=of,
            restart_count=0,
            image="sha256:a",
            image_uid=None,
            image_user="",
            environment={"WHO": "me"},
            mounts=(),
            memory_capacity=1 << 30,
        )
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("POD", "CONTAINER", "POD")),
        ({"hostNetwork": True}, ("NODE", "CONTAINER", "POD")),
        ({"hostPID": True}, ("POD", "NODE", "POD")),
        ({"hostIPC": True}, ("POD", "CONTAINER", "NODE")),
        ({"shareProcessNamespace": True}, ("POD", "POD", "POD")),
    ],
)
def test_namespaces_of_the_host(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    linux = sandbox_of(pod("p", **fields)).linux
    assert linux is not None and linux.security_context is not None
    options = linux.security_context.namespace_options
    assert options is not None
    modes = (options.network, options.pid, options.ipc)
    assert tuple(NamespaceMode(mode).name for mode in modes) == expected


def test_the_security_context_of_the_pod() -> None:
    context = core.PodSecurityContext(runAsUser=7, sysctls=[core.Sysctl(name="a/b", value="1")])
    made = sandbox_of(pod("p", securityContext=context)).linux
    assert made is not None and made.sysctls == {"a.b": "1"}
    assert made.security_context is not None and made.security_context.run_as_user == 7


def test_a_host_name_with_its_domain() -> None:
    short = pod("p", hostname="web", subdomain="db")
    full = pod("p", hostname="web", subdomain="db", setHostnameAsFQDN=True)
    assert sandbox_of(short).hostname == "web"
    assert sandbox_of(full).hostname == "web.db.default.svc.cluster.local"


def test_the_grace_of_a_pod() -> None:
    of = pod("p")
    of.spec.terminationGracePeriodSeconds = 7
    assert podspec.grace_seconds(of) == 7
    of.metadata.deletionGracePeriodSeconds = 3
    assert podspec.grace_seconds(of) == 3


@pytest.mark.parametrize("links", [True, False])
def test_links_to_services(links: bool) -> None:
    service = core.Service(
        spec=core.ServiceSpec(clusterIP="10.0.0.9", ports=[core.ServicePort(port=80)])
    )
    service.metadata.name, service.metadata.namespace = "web", "default"
    of = pod("p")
    of.spec.enableServiceLinks = links
    made = environment.compute(
        environment.Inputs(
            pod=of,
            container=of.spec.containers[0],
            services=[service],
            objects={},
            pod_ips=(),
            host_ips=(),
            allocatable={},
            env_file=lambda _: b"",
        )
    )
    assert ("WEB_SERVICE_HOST" in made) is links


@pytest.mark.parametrize(
    ("fields", "read", "expected"),
    [
        ({}, lambda c: c.metadata.name, "main"),
        ({"command": ["sh", "$(WHO)"]}, lambda c: c.command, ["sh", "me"]),
        ({"args": ["$(WHO)", "$$(WHO)"]}, lambda c: c.args, ["me", "$(WHO)"]),
        ({"workingDir": "/srv"}, lambda c: c.working_dir, "/srv"),
        ({"stdin": True}, lambda c: (c.stdin, c.stdin_once, c.tty), (True, False, False)),
        (
            {"stdin": True, "stdinOnce": True},
            lambda c: (c.stdin, c.stdin_once, c.tty),
            (True, True, False),
        ),
        ({"tty": True}, lambda c: c.tty, True),
    ],
)
def test_what_the_runtime_gets(
    fields: dict[str, Any], read: Callable[[model.ContainerConfig], Any], expected: Any
) -> None:
    config = config_of(container("main", **fields))
    assert read(config) == expected
    assert config.annotations["io.kubernetes.container.terminationMessagePath"] == (
        "/dev/termination-log"
    )
