"""The flags of upstream's components: each is served, or refused by name with a reason.

The tables beside this file are the groups, flags and defaults of ``--help`` of v1.36.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import pytest

from trireme.cluster import flags
from trireme.cluster.command_line import cli
from trireme.cluster.commands import _cloud_flags, _manager_configz, _manager_flags
from trireme.cluster.flags import Command, Flag, Refused, Row
from trireme.kit import pki

# Defaults that are not upstream's, and why.
OTHER_DEFAULTS = {
    "bind-address": "127.0.0.1",  # nothing is opened outwards unless asked for
    "kube-api-qps": "0",  # the API server's priorities and fairness limit
    "kube-api-burst": "0",
    "controllers use-service-account-credentials": "true",  # least rights
    "tls-min-version": "VersionTLS12",  # which Go takes without one
}
# Flags that are not in upstream's --help, with their group and default: what it has as a constant,
# and those that are deprecated.
OTHER_FLAGS: dict[str, dict[str, tuple[str, str]]] = {
    "controllers": {"namespace-deletion-grace-period": ("Namespace-controller", "5s")},
    "scheduler": {},
    "cloud": {
        "allow-untagged-cloud": ("Generic", "false"),
        "node-sync-period": ("Generic", "0s"),
    },
}
COMPONENTS = {
    "controllers": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "cloud": "cloud-controller-manager",
}
TABLES = [*COMPONENTS, "autoscaler"]
ZERO = {"", "0", "0s", "false"}


def command(name: str) -> Command:
    with click.Context(cli) as context:
        found = cli.get_command(context, name)
    assert isinstance(found, Command)
    return found


def upstream(name: str) -> dict[str, list[str]]:
    path = Path(__file__).parent / f"{COMPONENTS[name]}-flags.csv"
    with path.open() as file:
        return {row[1]: row for row in list(csv.reader(file))[1:]}


def rows(name: str) -> dict[str, tuple[str, Row]]:
    groups = command(name).groups
    return {row.name: (group, row) for group, found in groups.items() for row in found}


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_flag_of_upstreams_is_served_or_refused_in_its_group(name: str) -> None:
    expected = {flag: row[0] for flag, row in upstream(name).items()}
    expected |= {flag: group for flag, (group, _) in OTHER_FLAGS[name].items()}
    assert {flag: group for flag, (group, _) in rows(name).items()} == expected


@pytest.mark.parametrize("name", COMPONENTS)
def test_defaults_are_upstreams(name: str) -> None:
    found = command(name)
    shown = flags.texts(found.groups, found.defaults, {})
    for flag, value in shown.items():
        if flag in OTHER_FLAGS[name]:
            assert value == OTHER_FLAGS[name][flag][1]
            continue
        other = OTHER_DEFAULTS.get(f"{name} {flag}", OTHER_DEFAULTS.get(flag))
        expected = upstream(name)[flag][3] if other is None else other
        assert value == expected or {value, expected} <= ZERO, flag


def test_the_autoscalers_defaults_are_those_of_upstreams_frequent_questions() -> None:
    """And of the flags that it shares with the other components, the port and the lease."""
    found = command("autoscaler")
    shown = flags.texts(found.groups, found.defaults, {})
    own = {row.name for row in found.groups["Autoscaler"]} | {"leader-elect-resource-name"}
    assert {name: text for name, text in shown.items() if name in own | {"secure-port"}} == {
        "scan-interval": "10s",
        "new-pod-scale-up-delay": "0s",
        "expendable-pods-priority-cutoff": "-10",
        "expander": "least-waste",
        "max-nodes-total": "0",
        "max-node-provision-time": "15m0s",
        "initial-node-group-backoff-duration": "5m0s",
        "max-node-group-backoff-duration": "30m0s",
        "scale-down-enabled": "true",
        "scale-down-utilization-threshold": "0.5",
        "scale-down-unneeded-time": "10m0s",
        "scale-down-unready-time": "20m0s",
        "scale-down-delay-after-add": "10m0s",
        "scale-down-delay-after-delete": "0s",
        "scale-down-delay-after-failure": "3m0s",
        "max-scale-down-parallelism": "10",
        "max-drain-parallelism": "1",
        "skip-nodes-with-local-storage": "true",
        "skip-nodes-with-system-pods": "true",
        "skip-nodes-with-custom-controller-pods": "true",
        "max-graceful-termination-sec": "600",
        "max-pod-eviction-time": "2m0s",
        "max-bulk-soft-taint-count": "10",
        "status-config-map-name": "cluster-autoscaler-status",
        "leader-elect-resource-name": "cluster-autoscaler",
        "secure-port": "8085",
    }


@pytest.mark.parametrize("name", TABLES)
def test_each_flag_sets_a_setting_of_its_own(name: str) -> None:
    found = [row for _, row in rows(name).values() if isinstance(row, Flag)]
    assert len({row.to for row in found}) == len(found)
    for row in found:
        flags.at(command(name).defaults, row.to)


@pytest.mark.parametrize("name", TABLES)
def test_each_setting_has_a_flag(name: str) -> None:
    """But for those that are made of several flags, or of a feature gate, or that a component does
    not have."""
    made = {
        "component.election.elect",
        "component.election.release",
        "component.gates",
        "settings.autoscaling.scale_to_zero",
        "settings.feature_gates",
        "settings.root_ca",
        *(f"settings.signing.{signer}" for signer in SIGNERS),
        *WITHOUT.get(name, ()),
    }
    paths = {row.to for _, row in rows(name).values() if isinstance(row, Flag)}
    assert set(_paths(command(name).defaults)) - paths - made == set()


WITHOUT = {
    "cloud": {"component.disabled_metrics"},
    "autoscaler": {
        "controllers",
        "start_interval",
        "min_resync",
        "use_service_account_credentials",
        "settings.namespace",
    },
}
SIGNERS = ("kube_apiserver_client", "kubelet_client", "kubelet_serving", "legacy_unknown")


def _paths(settings: Any, prefix: str = "") -> list[str]:
    found: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            found += _paths(value, f"{prefix}{item.name}.")
        else:
            found.append(f"{prefix}{item.name}")
    return found


def parsed(*words: str, name: str = "controllers") -> Any:
    """The settings of the command with these words."""
    found = command(name)
    kept: list[Any] = []
    copy = Command(
        found.groups, found.defaults, lambda options, given: kept.append((options, given)), ""
    )
    copy.main([*words], standalone_mode=False)
    return kept[0][0]


def test_a_flag_sets_its_setting() -> None:
    options = parsed(
        "--concurrent-job-syncs=7",
        "--horizontal-pod-autoscaler-sync-period=1m30s",
        "--node-eviction-rate",
        "0.5",
        "--leader-elect=false",
        "--allocate-node-cidrs",
        "--cluster-cidr=10.0.0.0/16,fd00::/56",
        "--controllers=*,-job",
        "--controllers=ttl",
        "-v",
        "4",
    )
    assert options.settings.workers.job == 7
    assert options.settings.workers.deployment == 5
    assert options.settings.autoscaling.sync_period == 90.0
    assert options.settings.node_lifecycle.eviction_rate == 0.5
    assert options.component.election.elect is False
    assert options.allocate_node_cidrs is True
    assert options.settings.node_ipam.cluster_cidrs == ("10.0.0.0/16", "fd00::/56")
    assert options.controllers == ("*", "-job", "ttl")
    assert options.component.verbosity == 4


def test_a_flag_of_the_cloud_or_the_autoscaler_sets_its_setting() -> None:
    options = parsed(
        "--cloud-provider=static_addresses:make",
        "--controllers=*,-route",
        "--concurrent-service-syncs=3",
        "--node-status-update-frequency=1m",
        "--configure-cloud-routes=false",
        "--kube-api-qps=20",
        name="cloud",
    )
    assert options.cloud_provider == "static_addresses:make"
    assert options.controllers == ("*", "-route")
    assert options.settings.concurrent_service_syncs == 3
    assert options.settings.node_status_period == 60.0
    assert options.configure_cloud_routes is False
    assert options.component.qps == 20.0
    options = parsed(
        "--expander=random",
        "--scale-down-enabled=false",
        "--scale-down-utilization-threshold=0.7",
        "--kube-client-qps=5",
        name="autoscaler",
    )
    assert options.settings.expander == "random"
    assert options.settings.scale_down is False
    assert options.settings.utilization == 0.7
    assert options.component.qps == 5.0


def test_the_last_of_two_values_counts() -> None:
    assert parsed("--concurrent-gc-syncs=3", "--concurrent-gc-syncs=4").settings.workers == (
        dataclasses.replace(parsed().settings.workers, garbage_collector=4)
    )


def test_a_file_is_read_and_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "sa.key"
    key.write_bytes(pki.new_key())
    found = command("controllers")
    options = parsed(f"--service-account-private-key-file={key}")
    assert options.settings.service_account_key == key.read_bytes()
    shown = flags.texts(found.groups, options, {"service-account-private-key-file": str(key)})
    assert shown["service-account-private-key-file"] == str(key)
    assert "PRIVATE KEY" not in str(flags.texts(found.groups, options, {}))


@pytest.mark.parametrize("name", TABLES)
def test_a_flag_that_is_not_served_is_refused_with_the_reason(name: str) -> None:
    for _, row in rows(name).values():
        if isinstance(row, Refused):
            with pytest.raises(click.UsageError) as refused:
                cli.main([name, f"--{row.name}=something"], standalone_mode=False)
            assert row.reason in refused.value.format_message()
            assert f"--{row.name}" in refused.value.format_message()


def test_a_value_that_asks_for_what_is_done_is_taken() -> None:
    parsed("--profiling=false", "--cloud-provider=external", "--leader-elect-resource-lock=leases")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--controllers=*,-typo"], '"typo" is not in the list of known controllers'),
        (["--controllers=service-lb-controller"], "cannot be switched on"),
        (["--allocate-node-cidrs"], "needs --cluster-cidr"),
        (["--feature-gates=Typo=true"], "unrecognized feature gate: Typo"),
        (["--feature-gates=AnonymousAuthConfigurableEndpoints=false"], "cannot set feature gate"),
        (["--leader-elect-retry-period=9s"], "not in falling order"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        cli.main(["controllers", "--master=http://127.0.0.1:1", *words], standalone_mode=False)
    assert text in refused.value.format_message()


CLOUD = ["--master=http://127.0.0.1:1", "--cloud-provider=trireme.testing.memory_cloud:MemoryCloud"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["cloud", CLOUD[0]], "Missing option '--cloud-provider'"),
        (["cloud", CLOUD[1]], "Missing option '--kubeconfig'"),
        (["cloud", CLOUD[0], "--cloud-provider=none:make"], "No module named 'none'"),
        (["cloud", *CLOUD, "--controllers=*,-typo"], '"typo" is not in the list of known'),
        (["cloud", *CLOUD, "--controllers=job-controller"], "not in the list of known"),
        (["cloud", *CLOUD, "--allocate-node-cidrs"], "needs --cluster-cidr"),
        (["cloud", *CLOUD, "--feature-gates=CloudControllerManagerWebhook=true"], "cannot set"),
        (["autoscaler", CLOUD[0]], "Missing option '--cloud-provider'"),
        (["autoscaler", CLOUD[1]], "Missing option '--kubeconfig'"),
        (["autoscaler", *CLOUD, "--leader-elect-retry-period=9s"], "not in falling order"),
    ],
)
def test_what_does_not_fit_the_cloud_or_the_autoscaler_is_refused(
    words: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(click.UsageError) as refused:
        cli.main(words, standalone_mode=False)
    assert text in refused.value.format_message()


def test_half_of_a_signer_is_refused(tmp_path: Path) -> None:
    authority = pki.new_authority("ca", 0.0)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    with pytest.raises(click.UsageError) as refused:
        cli.main(
            [
                "controllers",
                "--master=http://127.0.0.1:1",
                f"--cluster-signing-kubelet-client-cert-file={tmp_path / 'ca.crt'}",
            ],
            standalone_mode=False,
        )
    assert "need each other" in refused.value.format_message()


# Fields of flags that are refused, or that no flag sets.
NO_FIELDS = {
    "AttachDetachController.DisableAttachDetachReconcilerSync",
    "AttachDetachController.ReconcilerSyncLoopPeriod",
    "GarbageCollectorController.GCIgnoredResources",
    "Generic.Address",
    "Generic.ClientConnection.acceptContentTypes",
    "Generic.ClientConnection.contentType",
    "Generic.LeaderElection.resourceLock",
    "Generic.LeaderMigrationEnabled",
    "Generic.Port",
    "KubeCloudShared.AllowUntaggedCloud",
    "KubeCloudShared.CIDRAllocatorType",
    "KubeCloudShared.ClusterName",
    "KubeCloudShared.ConfigureCloudRoutes",
    "KubeCloudShared.ExternalCloudVolumePlugin",
    "KubeCloudShared.NodeSyncPeriod",
    "KubeCloudShared.RouteReconciliationPeriod",
    "NodeIPAMController.SecondaryServiceCIDR",
    "NodeLifecycleController.PodEvictionTimeout",
    "PersistentVolumeBinderController.VolumeConfiguration.EnableHostPathProvisioning",
    "PersistentVolumeBinderController.VolumeConfiguration.FlexVolumePluginDir",
    "ServiceController.ConcurrentServiceSyncs",
}
NO_STRUCTURES = (
    "Generic.Debugging.",
    "Generic.LeaderMigration.",
    "KubeCloudShared.CloudProvider.",
    "PersistentVolumeBinderController.VolumeConfiguration.PersistentVolumeRecyclerConfiguration.",
)
OTHER_FIELDS = {
    "Generic.ClientConnection.burst": 0,
    "Generic.ClientConnection.qps": 0.0,
    "KubeCloudShared.UseServiceAccountCredentials": True,
}


def test_the_configuration_has_upstreams_fields_and_defaults() -> None:
    path = Path(__file__).parent / "kube-controller-manager-configz.csv"
    with path.open() as file:
        expected = {field: json.loads(text) for field, text in list(csv.reader(file))[1:]}
    expected = {
        field: OTHER_FIELDS.get(field, value)
        for field, value in expected.items()
        if field not in NO_FIELDS and not field.startswith(NO_STRUCTURES)
    }
    found = configz({})
    assert (found["kind"], found["apiVersion"]) == (
        "KubeControllerManagerConfiguration",
        "kubecontrollermanager.config.k8s.io/v1alpha1",
    )
    assert _fields(found) == {**expected, "Generic.ClientConnection.kubeconfig": ""}


def configz(words: dict[str, str], options: Any = None) -> dict[str, Any]:
    """The configuration of the controllers."""
    kind = "KubeControllerManagerConfiguration"
    options = options or _manager_flags.Options()
    document = _manager_configz.document(_manager_flags.GROUPS, kind, options, words)
    return document["kubecontrollermanager.config.k8s.io"]


def test_the_configuration_of_the_cloud_has_upstreams_fields() -> None:
    kind, name = "CloudControllerManagerConfiguration", "cloudcontrollermanager.config.k8s.io"
    options = parsed("--cloud-provider=a:b", "--node-status-update-frequency=1m", name="cloud")
    words = {"cloud-provider": "a:b"}
    found = _manager_configz.document(_cloud_flags.GROUPS, kind, options, words)[name]
    assert (found["kind"], found["apiVersion"]) == (kind, f"{name}/v1alpha1")
    assert found["Generic"]["LeaderElection"]["resourceName"] == "cloud-controller-manager"
    del found["Generic"]
    assert _fields(found) == {
        "KubeCloudShared.AllocateNodeCIDRs": False,
        "KubeCloudShared.CloudProvider.CloudConfigFile": "",
        "KubeCloudShared.CloudProvider.Name": "a:b",
        "KubeCloudShared.ClusterCIDR": "",
        "KubeCloudShared.ClusterName": "kubernetes",
        "KubeCloudShared.ConfigureCloudRoutes": True,
        "KubeCloudShared.NodeMonitorPeriod": "5s",
        "KubeCloudShared.RouteReconciliationPeriod": "10s",
        "KubeCloudShared.UseServiceAccountCredentials": False,
        "NodeController.ConcurrentNodeSyncs": 1,
        "ServiceController.ConcurrentServiceSyncs": 1,
    }
    assert found["NodeStatusUpdateFrequency"] == "1m0s"


def _fields(found: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            fields |= _fields(value, f"{prefix}{name}.")
        elif prefix:
            fields[f"{prefix}{name}"] = value
    return fields


def test_the_configuration_has_what_was_set_and_no_key(tmp_path: Path) -> None:
    key = tmp_path / "sa.key"
    key.write_bytes(pki.new_key())
    words = {"service-account-private-key-file": str(key)}
    options = parsed(f"--service-account-private-key-file={key}", "--namespace-sync-period=90s")
    found = configz(words, options)
    assert found["SAController"]["ServiceAccountKeyFile"] == str(key)
    assert found["NamespaceController"]["NamespaceSyncPeriod"] == "1m30s"
    assert "PRIVATE KEY" not in json.dumps(found)


def test_what_kubeadm_gives_is_taken_but_for_the_front_proxys_authority(tmp_path: Path) -> None:
    authority = pki.new_authority("kubernetes", 0.0)
    files = {"ca.crt": authority.certificate, "ca.key": authority.key, "sa.key": pki.new_key()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "controller-manager.conf").write_text("")
    conf, crt = tmp_path / "controller-manager.conf", tmp_path / "ca.crt"
    given = {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": conf,
        "authorization-kubeconfig": conf,
        "bind-address": "127.0.0.1",
        "client-ca-file": crt,
        "cluster-cidr": "10.244.0.0/16",
        "cluster-name": "kubernetes",
        "cluster-signing-cert-file": crt,
        "cluster-signing-key-file": tmp_path / "ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": conf,
        "leader-elect": "true",
        "root-ca-file": crt,
        "service-account-private-key-file": tmp_path / "sa.key",
        "service-cluster-ip-range": "10.96.0.0/12",
        "use-service-account-credentials": "true",
    }
    options = parsed(*(f"--{name}={value}" for name, value in given.items()))
    assert options.component.auth.client_authority == authority.certificate
    assert options.signing.key == authority.key
    with pytest.raises(click.UsageError, match="no proxy in front"):
        parsed(f"--requestheader-client-ca-file={crt}")
