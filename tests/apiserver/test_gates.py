"""Feature gates: what is listed as on has its effect, and no gate can be set to what is not so.

``EFFECTS`` names for each gate that is on the test that shows its effect; for each that only turns
upstream's inside, ``INNER`` says why nothing of it is to be seen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trireme.apiserver import gates
from trireme.apiserver.gates import Gates
from trireme.kit.env import Env
from trireme.testing import virtual

ROOT = Path(gates.__file__).parents[3]

AUTHN = "apiserver/authn/test_requests.py"
TOKENS = "apiserver/authn/test_tokens.py"
DECISIONS = "scheduler/test_decisions.py::test_decisions_are_those_of_the_slow_scheduler"
PODS = "api/core/test_pod_create_rules.py::test_good"
DEFAULTS = "api/core/test_pod_shape.py::test_default"
SERVICES = "api/core/test_service_rules.py::test_create"
STREAMS = "apiserver/test_streams.py"

RESIZE = "kubelet/stories/test_resize.py"

EFFECTS = {
    "APIResponseCompression": "apiserver/test_bad_clients.py::test_a_compressed_list_is_whole",
    "AggregatedDiscoveryRemoveBetaType": "apiserver/test_gates.py::test_the_beta_of_discovery",
    "AllowParsingUserUIDFromCertAuth": f"{AUTHN}::test_what_a_certificates_subject_says",
    "AllowServiceExternalIPs": SERVICES,
    "AuthorizeNodeWithSelectors": "apiserver/authz/test_node_authorizer.py::test_reads",
    "AuthorizePodWebsocketUpgradeCreatePermission": (
        "security/test_streams_into_pods_need_create.py::test_get_alone"
    ),
    "AuthorizeWithSelectors": "apiserver/authz/test_reviews.py::test_selectors_count",
    "ImageVolume": (
        "kubelet/stories/test_image_volumes.py::test_the_runtime_mounts_it_where_it_can"
    ),
    "InPlacePodLevelResourcesVerticalScaling": f"{RESIZE}::test_pod_level_resources_are_resized",
    "InPlacePodVerticalScaling": (
        f"{RESIZE}::test_a_resize_changes_the_cgroups_of_a_running_container"
    ),
    "InPlacePodVerticalScalingInitContainers": f"{RESIZE}::test_a_sidecar_is_resized_too",
    "NodeDeclaredFeatures": "kubelet/stories/test_node.py::test_a_node_says_which_features_it_has",
    "CRDValidationRatcheting": (
        "apiserver/crd/test_rules.py::test_what_did_not_change_may_go_on_failing"
    ),
    "ClearingNominatedNodeNameAfterBinding": (
        "scheduler/test_scheduler_loop.py::test_a_more_important_pod_takes_the_place_of_another"
    ),
    "ConstrainedImpersonation": f"{AUTHN}::test_impersonation",
    "ContainerRestartRules": "kubelet/test_plan.py::test_a_container_policy_overrides_the_pods",
    "CustomResourceFieldSelectors": "apiserver/crd/test_serving.py::test_selectable_fields",
    "DRADeviceTaints": "controllers/test_device_taints.py::test_pods_on_tainted_devices_go",
    "DeploymentReplicaSetTerminatingReplicas": (
        "controllers/test_replicaset.py::test_pods_that_are_going_are_counted_up_to_the_deployment"
    ),
    "DisableNodeKubeProxyVersion": (
        "kubelet/stories/test_node.py::test_the_node_registers_and_renews_its_lease"
    ),
    "EnvFiles": "kubelet/values/test_environment.py::test_environment_order_and_sources",
    "ExecProbeTimeout": (
        "kubelet/stories/test_probes.py::test_a_probe_command_that_takes_too_long_has_failed"
    ),
    "HostnameOverride": "kubelet/values/test_names.py::test_host_names_and_hosts_file",
    "KubeletFineGrainedAuthz": (
        "security/test_the_kubelet_takes_no_other_method_than_upstream.py::test_rights"
    ),
    "LogarithmicScaleDown": "controllers/test_replicaset.py::test_pods_of_about_an_age",
    "MatchLabelKeysInPodAffinity": DEFAULTS,
    "MatchLabelKeysInPodTopologySpread": DECISIONS,
    "MatchLabelKeysInPodTopologySpreadSelectorMerge": DEFAULTS,
    "MultiCIDRServiceAllocator": "apiserver/test_service_addresses.py::test_more_networks",
    "MutatingAdmissionPolicy": (
        "apiserver/admission/policies/test_policies.py::test_what_a_policy_makes_is_validated"
    ),
    "NFTablesProxyMode": (
        "interop/test_proxy_kernel.py::test_any_sequence_of_differences_is_the_whole"
    ),
    "NodeInclusionPolicyInPodTopologySpread": DECISIONS,
    "OrderedNamespaceDeletion": (
        "controllers/test_cleanup.py::test_a_namespaces_pods_go_before_all_else"
    ),
    "PodDeletionCost": "controllers/test_replicaset.py::test_who_goes_first",
    "PodLevelResources": (
        "kubelet/values/test_resources.py::test_containers_share_the_limits_of_their_pod"
    ),
    "PodLifecycleSleepAction": (
        "kubelet/stories/test_termination.py::test_pre_stop_runs_within_the_grace"
    ),
    "PodLifecycleSleepActionAllowZero": PODS,
    "PodObservedGenerationTracking": (
        "kubelet/stories/test_lifecycle.py::test_a_pod_runs_is_ready_and_goes"
    ),
    "PodReadyToStartContainersCondition": (
        "kubelet/stories/test_lifecycle.py::test_a_pod_runs_is_ready_and_goes"
    ),
    "PodSchedulingReadiness": (
        "scheduler/test_scheduler_loop.py::test_a_gated_pod_waits_for_its_gates"
    ),
    "PodTopologyLabelsAdmission": (
        "apiserver/admission/test_plugins.py::test_a_bound_pod_carries_its_nodes_zone"
    ),
    "PortForwardWebsockets": f"{STREAMS}::test_port_forward_tunnelled",
    "PreferSameTrafficDistribution": (
        "controllers/test_endpoints.py::test_hints_keep_traffic_near"
    ),
    "ProcMountType": (
        "kubelet/values/test_resources.py::test_a_proc_mount_and_the_groups_of_an_image"
    ),
    "RecursiveReadOnlyMounts": "kubelet/values/test_resources.py::test_recursive_read_only_mounts",
    "RelaxedDNSSearchValidation": PODS,
    "RelaxedEnvironmentVariableValidation": PODS,
    "RelaxedServiceNameValidation": SERVICES,
    "RemoteRequestHeaderUID": (
        "apiserver/aggregate/test_proxy.py::test_the_server_learns_who_asks_and_nothing_else"
    ),
    "RetryGenerateName": "apiserver/test_writing.py::test_generated_names",
    "SchedulerQueueingHints": "scheduler/test_hints.py::test_a_changed_node",
    "SeparateTaintEvictionController": (
        "controllers/test_nodes.py::test_a_dead_nodes_pods_move_after_five_minutes"
    ),
    "ServiceAccountNodeAudienceRestriction": (
        "apiserver/admission/test_node_restriction.py::test_tokens_for_the_pods_on_it"
    ),
    "ServiceAccountTokenJTI": f"{TOKENS}::test_the_claims_are_upstreams",
    "ServiceAccountTokenNodeBinding": f"{TOKENS}::test_it_dies_with_what_it_is_bound_to",
    "ServiceAccountTokenNodeBindingValidation": f"{TOKENS}::test_it_dies_with_what_it_is_bound_to",
    "ServiceAccountTokenPodNodeInfo": f"{TOKENS}::test_the_claims_are_upstreams",
    "ServiceCIDRStatusFieldWiping": "apiserver/test_gates.py::test_the_status_of_a_service_cidr",
    "SidecarContainers": "kubelet/stories/test_lifecycle.py::test_init_containers_and_sidecars",
    "StorageVersionHash": (
        "apiserver/test_openapi_parity.py::test_kinds_in_discovery_are_those_of_upstream"
    ),
    "StrictIPCIDRValidation": "api/networking/test_ingress_rules.py::test_status",
    "SupplementalGroupsPolicy": (
        "kubelet/values/test_resources.py::test_a_proc_mount_and_the_groups_of_an_image"
    ),
    "TokenRequestServiceAccountUIDValidation": (
        f"{TOKENS}::test_a_token_for_an_account_that_was_made_anew_is_not_given"
    ),
    "TranslateStreamCloseWebsocketRequests": f"{STREAMS}::test_exec",
    "WatchList": "apiserver/test_reading.py::test_initial_events_end_with_a_bookmark",
    "JobBackoffLimitPerIndex": (
        "controllers/test_job_plan.py::test_an_index_waits_for_itself_alone_and_takes_its_count_over"
    ),
    "JobManagedBy": ("flows/test_jobs.py::test_a_job_of_another_controller_is_left_alone"),
    "JobPodReplacementPolicy": ("controllers/test_job_plan.py::test_how_many_are_created"),
    "JobSuccessPolicy": ("controllers/test_job_plan.py::test_what_ends_a_job"),
    "MutablePodResourcesForSuspendedJobs": (
        "flows/test_jobs.py::test_a_suspended_job_is_changed_and_resumed"
    ),
    "StatefulSetSemanticRevisionComparison": (
        "controllers/test_history.py::test_a_template_in_another_form_is_the_same_revision"
    ),
    "MutableSchedulingDirectivesForSuspendedJobs": (
        "flows/test_jobs.py::test_a_suspended_job_is_changed_and_resumed"
    ),
}

INNER = {
    "client-go's queues, caches and transports": (
        "AtomicFIFO ClientsAllowCARotation ClientsAllowTLSCacheGC InOrderInformers "
        "InOrderInformersBatchProcess InformerResourceVersion UnlockWhileProcessingFIFO "
        "WatchListClient"
    ),
    "how the watch cache is built and read; what it answers is the same": (
        "BtreeWatchCache ConsistentListFromCache DetectCacheInconsistency ListFromCacheSnapshot "
        "ResilientWatchCacheInitialization SizeBasedListCostEstimate StorageNamespaceIndex "
        "WatchCacheInitializationPostStartHook"
    ),
    "how answers are encoded in memory": (
        "StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf"
    ),
    "where validation is written; what it says is the same": (
        "DeclarativeValidation DeclarativeValidationBeta"
    ),
    "a second write for the time of an upgrade, done with": "DisableAllocatorDualWrite",
    "when the scheduler does what; it decides the same": (
        "OpportunisticBatching SchedulerAsyncPreemption SchedulerPopFromBackoffQ"
    ),
    "when a controller reads its own writes": (
        "StaleControllerConsistencyDaemonSet StaleControllerConsistencyJob "
        "StaleControllerConsistencyReplicaSet StaleControllerConsistencyStatefulSet"
    ),
    "when the kubelet lists containers": "PLEGOnDemandRelist",
    "the form of log lines": "ContextualLogging",
    "HTTP/2, which is not served": "UnauthenticatedHTTP2DOSMitigation",
    "nodes of Windows, which there are none of": ("WinDSR WinOverlay WindowsGracefulNodeShutdown"),
}


def states(*expected: str) -> set[str]:
    return {name for name, gate in gates.every().items() if gate.state in expected}


def test_every_gate_that_is_on_has_an_effect_that_a_test_shows() -> None:
    assert EFFECTS.keys() == states("on")
    for gate, served in EFFECTS.items():
        file, _, name = served.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), gate


def test_every_gate_of_upstreams_inside_has_its_reason() -> None:
    listed = " ".join(INNER.values()).split()
    assert len(listed) == len(set(listed))
    assert set(listed) == states("inner")


def test_the_switches_are_the_gates_that_are_looked_at() -> None:
    """The API server's. Controllers have more: gates that no kind of the API depends on."""
    read, by_controllers = set(), set()
    for path in (ROOT / "src" / "trireme").rglob("*.py"):
        text = path.read_text()
        read |= set(re.findall(r'(?:gates\.on\(|\bgate=)"(\w+)"', text))
        by_controllers |= set(re.findall(r'"(\w+)" in [\w.]*feature_gates\b', text))
    switches = {name for name, gate in gates.every().items() if gate.switch}
    assert read <= switches <= read | by_controllers
    assert by_controllers <= set(gates.every())


@pytest.mark.parametrize(
    ("gate", "on", "problem"),
    [
        ("ConstrainedImpersonation", False, ""),
        ("StorageVersionMigrator", True, ""),
        ("WatchList", True, ""),
        ("WatchList", False, "feature cannot be switched off"),
        ("HPAScaleToZero", False, ""),
        ("HPAScaleToZero", True, "feature is not implemented"),
        ("GracefulNodeShutdown", False, ""),
        ("GracefulNodeShutdown", True, "feature is not implemented"),
        ("HPAConfigurableTolerance", False, "feature cannot be switched off"),
        ("HPAConfigurableTolerance", True, "feature is not implemented"),
        ("ListFromCacheSnapshot", False, ""),
        ("NodeLogQuery", False, "feature is locked to true"),
        ("KMSv1", True, "feature is not implemented"),
        ("GitRepoVolumeDriver", True, "feature is locked to false"),
    ],
)
def test_what_a_gate_can_be_set_to(gate: str, on: bool, problem: str) -> None:
    if not problem:
        assert Gates({gate: on}).on(gate) is (on and gate in states("on", "off"))
        return
    got = "true" if on else "false"
    with pytest.raises(ValueError, match=f"^cannot set feature gate {gate} to {got}, {problem}$"):
        Gates({gate: on})


def test_all_of_a_stage_means_its_switches() -> None:
    alpha, beta = (
        Gates({"AllAlpha": True}),
        Gates({"AllBeta": False, "CBORServingAndStorage": True}),
    )
    assert alpha.on("ShardedListAndWatch") and not alpha.on("HPAScaleToZero")
    assert not beta.on("APIResponseCompression") and beta.on("WatchList")
    assert beta.on("CBORServingAndStorage")


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


@virtual.test()
async def test_the_beta_of_discovery(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        for path in ("/api", "/apis"):
            beta, latest = AGGREGATED.format("v2beta1"), AGGREGATED.format("v2")
            assert (await ask("GET", path, headers={"accept": beta}))[0] == 406
            plain = await ask.answer("GET", path, headers={"accept": f"{beta},application/json"})
            assert (plain.status, plain.content_type) == (200, "application/json")
            both = await ask.answer("GET", path, headers={"accept": f"{beta},{latest}"})
            assert (both.status, both.content_type) == (200, latest)


@virtual.test()
async def test_the_status_of_a_service_cidr(env: Env, asking: Any) -> None:
    """Only its status subresource writes it."""
    async with asking(env) as ask:
        path = "/apis/networking.k8s.io/v1/servicecidrs"
        ready = {"type": "Ready", "status": "True", "reason": "x", "message": ""}
        ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        expected: dict[str, Any] = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "more"},
            "spec": {"cidrs": ["10.9.0.0/24"]},
            "status": {"conditions": [ready]},
        }
        made = await ask.must("POST", path, expected)
        assert "conditions" not in made["status"]
        assert "conditions" not in (await ask.must("PUT", f"{path}/more", expected))["status"]
        written = await ask.must("PUT", f"{path}/more/status", expected)
        assert written["status"]["conditions"] == [ready]
        kept = await ask.must("PUT", f"{path}/more", expected | {"status": {}})
        assert kept["status"]["conditions"] == [ready]
