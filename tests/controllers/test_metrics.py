"""Metrics of the controllers have upstream's names and labels; which ones are not here, and why.

``metrics.csv`` has what kube-controller-manager v1.36 serves at /metrics and /metrics/slis.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import prometheus_client

from tests.controllers import harness
from trireme.api.batch.v1.job_types import Job
from trireme.api.core import v1 as core
from trireme.client.measured import RestMetrics
from trireme.cluster.served import Served
from trireme.controllers.settings import NodeIPAM, Settings
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime.election import Election, LeaderElection
from trireme.testing import virtual

_GO = "of Go's client: plugins that a kubeconfig runs, its cache of transports"
_GATE = "behind a gate that is off by default"
_FRAMEWORK = "metrics have no stability here"
_DEVICES = "of controllers of devices: not counted yet"
NOT_HERE = {
    "clustertrustbundle_publisher_sync_duration_seconds": _GATE,
    "clustertrustbundle_publisher_sync_total": _GATE,
    "device_taint_eviction_controller_pod_deletion_duration_seconds": _DEVICES,
    "device_taint_eviction_controller_pod_deletions_total": _DEVICES,
    "endpoint_slice_mirroring_controller_endpoints_updated_per_sync": (
        "an endpoint that changes is one that goes and one that comes"
    ),
    "informer_processing_latency_seconds": "handlers are called where the event is read",
    "informer_queued_items": "no event waits between cache and handlers",
    "node_ipam_controller_cidrset_allocation_tries_per_request": "the next free one is known",
    "registered_metrics_total": _FRAMEWORK,
    "replicaset_controller_sorting_deletion_age_ratio": "compares two orders; there is one",
    "resourceclaim_controller_resource_claims": _DEVICES,
    "rest_client_dns_resolution_duration_seconds": "the library does not say",
    "rest_client_exec_plugin_call_total": _GO,
    "rest_client_exec_plugin_certificate_rotation_age": _GO,
    "rest_client_exec_plugin_policy_call_total": _GO,
    "rest_client_exec_plugin_ttl_seconds": _GO,
    "rest_client_request_retries_total": "a client does not retry; its caller does",
    "rest_client_transport_cache_entries": _GO,
    "rest_client_transport_create_calls_total": _GO,
    "selinux_warning_controller_selinux_volume_conflict": "off by default",
    "statefulset_controller_statefulset_max_unavailable": _GATE,
    "statefulset_controller_statefulset_unavailable_replicas": _GATE,
    "version_info": "kubernetes_build_info has the version",
    "volume_operation_errors_total": "there are no volume plugins in the tree",
    "volume_operation_total_errors": "there are no volume plugins in the tree",
}
MANAGER = "kube-controller-manager"
# Its own page.
SLIS = {"kubernetes_healthcheck", "kubernetes_healthchecks_total"}
SETTINGS = Settings(root_ca="PEM", node_ipam=NodeIPAM(cluster_cidrs=("10.0.0.0/16",)))


def upstream() -> dict[str, dict[str, str]]:
    with (Path(__file__).parent / "metrics.csv").open() as file:
        return {row["metric"]: row for row in csv.DictReader(file)}


def families(registry: prometheus_client.CollectorRegistry) -> dict[str, Any]:
    """By the names of their samples."""
    found = {}
    for collector in registry._collector_to_names:
        for name in registry._collector_to_names[collector]:
            found[name] = collector
    return found


@virtual.test()
async def test_each_of_upstreams_is_here_or_not_for_a_reason(env: Env) -> None:
    async with harness.world(env, settings=SETTINGS) as w:
        RestMetrics(env.metrics, "host")
        Election(w.client, LeaderElection(name="m"), "one", env)
        Served(name="kube-controller-manager").pages(env)
        found = families(env.metrics)
        names = set(upstream())
        assert set(NOT_HERE) <= names
        assert names - set(NOT_HERE) - SLIS - set(found) == set()
        assert set(found) & set(NOT_HERE) == set()
        for name, row in upstream().items():
            labels = getattr(found.get(name), "_labelnames", None)
            if labels is not None:
                assert sorted(labels) == sorted(row["labels"].split()), name


def sample(env: Env, name: str, /, **labels: str) -> float:
    return env.metrics.get_sample_value(name, labels) or 0.0


@virtual.test()
async def test_a_job_is_counted_once(env: Env) -> None:
    async with harness.world(env) as w:
        w.end_as(lambda pod: "Succeeded")
        container = {"name": "main", "image": "v1"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        job = {
            "metadata": {"name": "sum", "namespace": "default"},
            "spec": {"completions": 3, "parallelism": 3, "template": template},
        }

        await w.client.create(msgspec.convert(job, Job))
        await w.until(lambda: w.find(Job, "sum") is not None)
        await w.until(lambda: w.get(Job, "sum").status.completionTime is not None)
        mode = {"completion_mode": "NonIndexed"}
        name = "job_controller_job_pods_finished_total"
        assert sample(env, name, **mode, result="succeeded") == 3
        assert sample(env, name, **mode, result="failed") == 0
        name = "job_controller_jobs_finished_total"
        labels = {**mode, "result": "succeeded", "reason": "CompletionsReached"}
        assert sample(env, name, **labels) == 1
        name = "job_controller_job_pods_creation_total"
        assert sample(env, name, reason="new", status="succeeded") == 3
        name = "job_controller_terminated_pods_tracking_finalizer_total"
        await w.quiet(10)
        assert sample(env, name, event="add") == sample(env, name, event="delete") == 3
        name = "job_controller_job_syncs_total"
        assert sample(env, name, **mode, result="success", action="pods_created") == 1


@virtual.test()
async def test_what_is_in_the_caches_is_counted_when_it_is_read(env: Env) -> None:
    async with harness.world(env, plays="") as w:
        await w.node("n1")
        await w.node("n2")
        service = core.Service(
            metadata=meta.ObjectMeta(name="web", namespace="default"),
            spec=core.ServiceSpec(selector={"app": "web"}, ports=[core.ServicePort(port=80)]),
        )
        await w.client.create(service)
        await env.clock.sleep(20.0)
        assert sample(env, "node_collector_zone_size", zone="") == 2
        assert sample(env, "endpoint_slice_controller_num_endpoint_slices") == 1
        assert sample(env, "endpoint_slice_controller_endpoints_desired") == 0
        assert sample(env, "endpoint_slice_controller_changes", operation="create") == 1
        assert sample(env, "running_managed_controllers", name="job-controller", manager=MANAGER)
