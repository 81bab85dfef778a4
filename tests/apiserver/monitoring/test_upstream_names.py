"""/metrics has every stable and beta family that upstream's kube-apiserver v1.36.2 served after the
same requests, with its labels; what is not there has its reason here."""

from __future__ import annotations

from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from trireme.kit.env import Env

MAPS: Final = "/api/v1/namespaces/default/configmaps"
POLICIES: Final = "/apis/admissionregistration.k8s.io/v1"
KIND: Final = "group resource scope subresource verb version component"

# By name: the labels. Read off upstream's binary.
SERVED: Final = {
    "apiserver_admission_controller_admission_duration_seconds": "name operation rejected type",
    "apiserver_admission_step_admission_duration_seconds": "operation rejected type",
    "apiserver_admission_webhook_admission_duration_seconds": "name operation rejected type",
    "apiserver_current_inflight_requests": "request_kind",
    "apiserver_flowcontrol_current_executing_requests": "flow_schema priority_level",
    "apiserver_flowcontrol_current_executing_seats": "flow_schema priority_level",
    "apiserver_flowcontrol_current_inqueue_requests": "flow_schema priority_level",
    "apiserver_flowcontrol_dispatched_requests_total": "flow_schema priority_level",
    "apiserver_flowcontrol_nominal_limit_seats": "priority_level",
    "apiserver_flowcontrol_request_wait_duration_seconds": "execute flow_schema priority_level",
    "apiserver_longrunning_requests": KIND,
    "apiserver_request_duration_seconds": f"{KIND} dry_run",
    "apiserver_request_total": f"{KIND} dry_run code",
    "apiserver_requested_deprecated_apis": "group removed_release resource subresource version",
    "apiserver_response_sizes": KIND,
    "apiserver_storage_events_received_total": "group resource",
    "apiserver_storage_objects": "resource",
    "apiserver_storage_size_bytes": "storage_cluster_id",
    "apiserver_validating_admission_policy_check_duration_seconds": (
        "enforcement_action error_type policy policy_binding"
    ),
    "apiserver_validating_admission_policy_check_total": (
        "enforcement_action error_type policy policy_binding"
    ),
    "apiserver_watch_list_duration_seconds": "group resource scope version",
    "kubernetes_build_info": (
        "build_date compiler git_commit git_tree_state git_version go_version major minor platform"
    ),
    "kubernetes_feature_enabled": "name stage",
}
# Alpha ones that operators' dashboards are made of.
ALPHA: Final = {
    "apiserver_current_inqueue_requests": "request_kind",
    "apiserver_impersonation_attempts_total": "mode decision",
    "apiserver_init_events_total": "group resource",
    "apiserver_resource_objects": "group resource",
    "apiserver_watch_cache_events_received_total": "group resource",
    "apiserver_watch_events_sizes": "group version resource",
    "apiserver_watch_events_total": "group version resource",
    "authenticated_user_requests": "username",
    "authentication_attempts": "result",
    "authentication_duration_seconds": "result",
    "authorization_attempts_total": "result",
    "authorization_duration_seconds": "result",
    "pod_security_evaluations_total": (
        "decision mode policy_level policy_version request_operation resource subresource"
    ),
}
_META: Final = "about metrics that upstream's library leaves out by stability; ours leaves out none"
_QUEUES: Final = "the API server's own controllers have no work queues: each is one loop"
_DECLARED: Final = "there is one validation of a write, not two whose results may differ"
_UNOBSERVED: Final = "upstream registers it and nothing observes it: it is always zero"
ABSENT: Final = {
    "apiserver_cel_compilation_duration_seconds": _UNOBSERVED,
    "apiserver_cel_evaluation_duration_seconds": _UNOBSERVED,
    "apiserver_validation_declarative_validation_mismatch_total": _DECLARED,
    "apiserver_validation_declarative_validation_panic_total": _DECLARED,
    "disabled_metrics_total": _META,
    "hidden_metrics_total": _META,
    "registered_metrics_total": _META,
    "workqueue_adds_total": _QUEUES,
    "workqueue_depth": _QUEUES,
    "workqueue_longest_running_processor_seconds": _QUEUES,
    "workqueue_queue_duration_seconds": _QUEUES,
    "workqueue_retries_total": _QUEUES,
    "workqueue_unfinished_work_seconds": _QUEUES,
    "workqueue_work_duration_seconds": _QUEUES,
}

RULES: Final = [
    {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
]
POLICY: Final = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "p"},
    "spec": {
        "matchConstraints": {"resourceRules": RULES},
        "validations": [{"expression": "object.metadata.name != 'bad'"}],
    },
}
BINDING: Final = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "b"},
    "spec": {"policyName": "p", "validationActions": ["Deny"]},
}
WEBHOOK: Final = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "w"},
    "webhooks": [
        {
            "name": "w.example.com",
            "sideEffects": "None",
            "failurePolicy": "Ignore",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": RULES,
        }
    ],
}
POD: Final = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


async def families(ask: Any) -> dict[str, set[str]]:
    """The labels of each family that has samples. A counter whose name does not end in ``_total``
    is of no type in the format."""
    text = (await ask.answer("GET", "/metrics")).body.decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    return found


async def drive(ask: Any) -> None:
    await ask.must("POST", f"{POLICIES}/validatingadmissionpolicies", POLICY)
    await ask.must("POST", f"{POLICIES}/validatingadmissionpolicybindings", BINDING)
    await ask.must("POST", f"{POLICIES}/validatingwebhookconfigurations", WEBHOOK)
    for name in ("a", "bad"):
        await ask("POST", MAPS, {"metadata": {"name": name}})
    await ask(
        "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}}
    )
    await ask("POST", "/api/v1/namespaces/default/pods", POD)
    await ask("GET", "/api/v1/componentstatuses")
    await ask.unknown().answer("GET", "/livez")
    await ask("GET", MAPS, None, {"impersonate-user": "joe"})
    watch = await ask.answer(
        "GET",
        f"{MAPS}?watch=1&timeoutSeconds=1&sendInitialEvents=true"
        "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    )
    async for _ in watch.chunks:
        pass


async def test_every_stable_and_beta_family_is_there(asking: Any) -> None:
    async with asking(Env()) as ask:
        await drive(ask)
        found = await families(ask)
    wrong = {
        name: sorted(found.get(name, {"missing"}))
        for name, labels in (SERVED | ALPHA).items()
        if found.get(name) != set(labels.split())
    }
    assert not wrong
    assert not ABSENT.keys() & found.keys(), "no longer absent"


async def test_indicators_have_the_state_of_each_check(asking: Any) -> None:
    async with asking(Env()) as ask:
        await ask.answer("GET", "/livez")
        page = (await ask.answer("GET", "/metrics/slis")).body.decode()
    assert 'kubernetes_healthcheck{name="etcd",type="readyz"} 1.0' in page
    total = 'kubernetes_healthchecks_total{name="etcd",status="success",type="livez"} 1.0'
    assert total in page
