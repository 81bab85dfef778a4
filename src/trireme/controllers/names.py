"""Which controllers run: the words of ``--controllers``. Pure.

In: the words of a user, and the names that there are. Out: whether a controller runs. Used by
``manager``. Upstream: staging/src/k8s.io/controller-manager/app/helper.go, and the aliases in
cmd/kube-controller-manager/app.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

# The names before v1.27, which upstream still takes.
ALIASES: Final[Mapping[str, str]] = {
    "attachdetach": "persistentvolume-attach-detach-controller",
    "bootstrapsigner": "bootstrap-signer-controller",
    "cloud-node": "cloud-node-controller",
    "cloud-node-lifecycle": "cloud-node-lifecycle-controller",
    "clusterrole-aggregation": "clusterrole-aggregation-controller",
    "cronjob": "cronjob-controller",
    "csrapproving": "certificatesigningrequest-approving-controller",
    "csrcleaner": "certificatesigningrequest-cleaner-controller",
    "csrsigning": "certificatesigningrequest-signing-controller",
    "daemonset": "daemonset-controller",
    "deployment": "deployment-controller",
    "disruption": "disruption-controller",
    "endpoint": "endpoints-controller",
    "endpointslice": "endpointslice-controller",
    "endpointslicemirroring": "endpointslice-mirroring-controller",
    "ephemeral-volume": "ephemeral-volume-controller",
    "garbagecollector": "garbage-collector-controller",
    "horizontalpodautoscaling": "horizontal-pod-autoscaler-controller",
    "job": "job-controller",
    "legacy-service-account-token-cleaner": "legacy-serviceaccount-token-cleaner-controller",
    "namespace": "namespace-controller",
    "nodeipam": "node-ipam-controller",
    "nodelifecycle": "node-lifecycle-controller",
    "persistentvolume-binder": "persistentvolume-binder-controller",
    "persistentvolume-expander": "persistentvolume-expander-controller",
    "podgc": "pod-garbage-collector-controller",
    "pv-protection": "persistentvolume-protection-controller",
    "pvc-protection": "persistentvolumeclaim-protection-controller",
    "replicaset": "replicaset-controller",
    "replicationcontroller": "replicationcontroller-controller",
    "resource-claim-controller": "resourceclaim-controller",
    "resourcequota": "resourcequota-controller",
    "root-ca-cert-publisher": "root-ca-certificate-publisher-controller",
    "route": "node-route-controller",
    "service": "service-lb-controller",
    "serviceaccount": "serviceaccount-controller",
    "serviceaccount-token": "serviceaccount-token-controller",
    "statefulset": "statefulset-controller",
    "storage-version-gc": "storageversion-garbage-collector-controller",
    "svm": "storage-version-migrator-controller",
    "tokencleaner": "token-cleaner-controller",
    "ttl": "ttl-controller",
    "ttl-after-finished": "ttl-after-finished-controller",
}

# What upstream has and is not here, and why. They can be switched off, and not on.
MISSING: Final[Mapping[str, str]] = {
    "cloud-node-lifecycle-controller": "of the cloud controller manager, as upstream",
    "node-route-controller": "of the cloud controller manager, as upstream",
    "service-lb-controller": "of the cloud controller manager, as upstream",
}


class Selection:
    """``words``: "*" is all that are on by default, "foo" switches foo on, "-foo" off; of two
    words for one controller the first counts. Without "*" nothing else runs.

    ValueError for a word that is no controller's in ``known``, and for one in ``MISSING`` that
    would be switched on.
    """

    def __init__(self, words: Iterable[str], known: Collection[str]) -> None:
        self._selected: dict[str, bool] = {}
        self._star = False
        for word in words:
            if word == "*":
                self._star = True
                continue
            name = canonical(word.removeprefix("-"))
            on = not word.startswith("-")
            if name in MISSING and name not in known and on:
                raise ValueError(f"{name} cannot be switched on: {MISSING[name]}")
            if name not in known and name not in MISSING:
                raise ValueError(
                    f'"{word.removeprefix("-")}" is not in the list of known controllers: '
                    + ", ".join(sorted(known))
                )
            self._selected.setdefault(name, on)

    def enables(self, name: str, on_by_default: bool) -> bool:
        """Whether the controller ``name`` runs."""
        return self._selected.get(name, self._star and on_by_default)


def canonical(name: str) -> str:
    """The name that an alias stands for; any other is itself."""
    return ALIASES.get(name, name)
