"""Values of containers: expansion, variables and files of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kubelet.harness import container, pod

from trireme.api.core import v1 as core
from trireme.kubelet.env import compute, downward, expand, services


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
