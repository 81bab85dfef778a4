"""What a cluster remembers, and waiting for assertions."""

from __future__ import annotations

from tests.testing.test_cluster import WEB
from trireme.testing import SyncCluster


def test_who_changed_what():
    with SyncCluster() as cluster:
        cluster.apply(WEB)
        cluster.wait("deploy", "web", "condition=Available")
        before = cluster.revision
        cluster.patch("deploy", "web", {"spec": {"replicas": 1}})
        cluster.advance("1m")
        found = {one.key: one for one in cluster.diff(before, cluster.revision)}
        deployment = found["/registry/deployments.apps/default/web"]
        assert deployment.fields["spec.replicas"] == (3, 1)
        assert deployment.users == [
            "kubernetes-admin",
            "system:serviceaccount:kube-system:deployment-controller",
        ]
        assert "spec.replicas: 3 -> 1" in str(deployment)
        past = cluster.at(before)
        assert past["/registry/deployments.apps/default/web"]["spec"]["replicas"] == 3
        assert sum(key.startswith("/registry/pods/") for key in past) == 3
        verbs = [change.verb for change in cluster.history("Pod")]
        assert verbs.count("created") == 3 and verbs.count("deleted") == 2
        assert cluster.history("deploy", "web")[0].verb == "created"


def test_eventually_is_met_by_an_assertion_that_holds():
    with SyncCluster() as cluster:
        cluster.apply(WEB)

        def available():
            assert len(cluster.list("Pod")) == 3

        cluster.eventually(available)
        assert cluster.eventually(lambda: len(cluster.list("Pod"))) == 3
