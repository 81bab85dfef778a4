"""A Deployment with a Service, from nothing to endpoints."""

from __future__ import annotations

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.machinery import meta
from trireme.testing import virtual


@virtual.test()
async def test_a_deployment_gets_its_pods_and_its_service_their_addresses(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        service = core.Service(
            metadata=meta.ObjectMeta(name="web", namespace="default", labels={"tier": "front"}),
            spec=core.ServiceSpec(
                selector={"app": "web"}, ports=[core.ServicePort(port=80, targetPort="http")]
            ),
        )
        await w.client.create(service)
        await w.until(lambda: len(w.pods(app="web")) == 3)
        await w.until(
            lambda: (
                w.find(Deployment, "web") is not None
                and w.get(Deployment, "web").status.availableReplicas == 3
            )
        )
        await w.until(
            lambda: w.list(EndpointSlice) and len(w.list(EndpointSlice)[0].endpoints) == 3
        )
        await w.quiet(5)
        found = w.get(Deployment, "web")
        conditions = {c.type: (c.status, c.reason) for c in found.status.conditions}
        assert conditions == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }
        assert found.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
        (replica_set,) = w.list(ReplicaSet)
        assert replica_set.status.availableReplicas == 3
        (item,) = w.list(EndpointSlice)
        assert item.metadata.labels["kubernetes.io/service-name"] == "web"
        assert item.metadata.labels["tier"] == "front"
        assert item.ports[0].port == 80
        assert all(endpoint.conditions.ready for endpoint in item.endpoints)
        name = replica_set.metadata.name
        assert w.messages("web") == [f"Scaled up replica set {name} from 0 to 3"]
        assert w.reasons(name) == ["SuccessfulCreate"] * 3
        assert not await w.quiet(100)
        assert w.get(core.ConfigMap, "kube-root-ca.crt").data == {"ca.crt": "PEM"}
