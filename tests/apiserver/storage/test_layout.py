"""Keys in etcd are upstream's, and each is found again."""

import pytest

import trireme.api
from trireme.api.catalog import Catalog
from trireme.apiserver.storage.layout import Layout

BUILT_IN = {
    resource.group_resource
    for resource in Catalog.of(trireme.api).resources
    if resource.stored_as is None
}
LAYOUT = Layout(BUILT_IN)
# Ours, and where upstream's API server has it.
KEYS = {
    "/registry/pods/default/web": "/registry/pods/default/web",
    "/registry/nodes/n": "/registry/minions/n",
    "/registry/services/default/web": "/registry/services/specs/default/web",
    "/registry/endpoints/default/web": "/registry/services/endpoints/default/web",
    "/registry/endpointslices.discovery.k8s.io/default/web": "/registry/endpointslices/default/web",
    "/registry/replicationcontrollers/a/b": "/registry/controllers/a/b",
    "/registry/deployments.apps/a/b": "/registry/deployments/a/b",
    "/registry/ingresses.networking.k8s.io/a/b": "/registry/ingress/a/b",
    "/registry/events/a/b": "/registry/events/a/b",
    "/registry/leases.coordination.k8s.io/a/b": "/registry/leases/a/b",
    "/registry/customresourcedefinitions.apiextensions.k8s.io/boats.example.com": (
        "/registry/apiextensions.k8s.io/customresourcedefinitions/boats.example.com"
    ),
    "/registry/apiservices.apiregistration.k8s.io/v1.apps": (
        "/registry/apiregistration.k8s.io/apiservices/v1.apps"
    ),
    "/registry/boats.example.com/a/argo": "/registry/example.com/boats/a/argo",
    "/registry/pods.example.com/a/argo": "/registry/example.com/pods/a/argo",
    "/registry/ranges/servicenodeports": "/registry/ranges/servicenodeports",
    "/registry/masterleases/192.0.2.1": "/registry/masterleases/192.0.2.1",
}


@pytest.mark.parametrize(("ours", "theirs"), KEYS.items())
def test_a_key_is_upstreams(ours: str, theirs: str):
    assert LAYOUT.outside(ours) == theirs
    assert LAYOUT.inside(theirs) == ours


def test_no_two_kinds_have_one_place():
    outside = {LAYOUT.outside(f"/registry/{name}/x") for name in BUILT_IN}
    assert len(outside) == len(BUILT_IN)
    assert {LAYOUT.inside(key) for key in outside} == {f"/registry/{name}/x" for name in BUILT_IN}


@pytest.mark.parametrize("prefix", ["/clusters/one", "clusters/one/"])
def test_a_prefix_of_the_operators(prefix: str):
    layout = Layout(BUILT_IN, prefix)
    assert layout.outside("/registry/nodes/n") == "/clusters/one/minions/n"
    assert layout.inside("/clusters/one/minions/n") == "/registry/nodes/n"
    assert layout.inside("/registry/minions/n") is None
    assert layout.inside("/clusters/oneandmore/minions/n") is None
