"""The pytest plugin, alone and beside others: each run is a pytest of its own, in a project of its
own."""

from __future__ import annotations

import pytest

ALONE = ("trireme.testing.pytest_plugin",)
PROJECT = '''
import asyncio
import sys
import pytest

assert "trireme.testing.cluster" not in sys.modules, "imported before a fixture was used"
YAML = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "web:1"}]}
"""
'''
SYNC = """
def test_sync(cluster):
    cluster.apply(YAML)
    cluster.wait("Deployment", "web", "condition=Available")
    assert len(cluster.list("Pod", "default")) == 2

def test_each_has_its_own(cluster):
    assert cluster.list("Deployment") == []

@pytest.mark.trireme(nodes=3, controllers=["-deployment", "*"])
def test_marker(cluster):
    assert len(cluster.list("Node")) == 3
    cluster.apply(YAML)
    cluster.advance("1m")
    assert cluster.list("ReplicaSet") == []

def test_factory(cluster, cluster_factory):
    other = cluster_factory(nodes=0)
    other.apply(YAML)
    cluster.advance("10m")
    assert abs(other.now - cluster.now) < 1
    assert len(other.list("Pod")) == 2 and cluster.list("Pod") == []

def test_shared(shared_cluster):
    shared_cluster.apply(YAML)

def test_shared_goes_on(shared_cluster):
    assert len(shared_cluster.list("Deployment")) == 1

class TestInAClass:
    def test_method(self, cluster):
        assert len(cluster.list("Node")) == 1
"""
ASYNC = '''
@pytest.fixture
async def sleeper(cluster):
    """An operator of the user's own, on the cluster's clock."""
    async def run():
        while True:
            await asyncio.sleep(60)
            await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap",
                                 "metadata": {"name": f"at-{int(cluster.now)}"}})
    task = asyncio.create_task(run())
    yield "sleeper"
    task.cancel()

@pytest.fixture
async def second(sleeper, cluster):
    return len(await cluster.list("Node"))

async def test_async(cluster, sleeper, second):
    await cluster.advance("5m1s")
    found = await cluster.list("ConfigMap", "default", fields="metadata.name!=kube-root-ca.crt")
    assert len(found) == 5 and second == 1

async def test_again(cluster, second):
    await cluster.apply(YAML)
    await cluster.wait("deploy", "web", "condition=Available")

class TestInAClass:
    async def test_method(self, cluster_factory):
        one = await cluster_factory(nodes=0)
        assert await one.list("Node") == []
'''
OTHERS = '''
import time

async def test_not_ours():
    """Left to the other plugin: its loop is real."""
    began = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - began >= 0.05
'''


def run(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    plugins: tuple[str, ...],
    *args: str,
    ini: str = "",
    **files: str,
) -> pytest.RunResult:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makepyfile(**{name: PROJECT + text for name, text in files.items()})
    loaded = [word for plugin in plugins for word in ("-p", plugin)]
    return pytester.runpytest_subprocess(*loaded, "-W", "error", *args)


def test_alone(pytester, monkeypatch):
    """Async tests need no other plugin."""
    result = run(pytester, monkeypatch, ALONE, test_sync=SYNC, test_async=ASYNC)
    result.assert_outcomes(passed=10)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_beside_pytest_asyncio(pytester, monkeypatch, mode):
    others = OTHERS.replace("async def test", "@pytest.mark.asyncio\nasync def test")
    ini = f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
    plugins = ("pytest_asyncio.plugin", *ALONE)
    files = {"test_sync": SYNC, "test_async": ASYNC, "test_others": others}
    if mode == "auto":
        files["test_more_others"] = OTHERS
    result = run(pytester, monkeypatch, plugins, ini=ini, **files)
    result.assert_outcomes(passed=12 if mode == "auto" else 11)


def test_beside_pytest_asyncio_with_its_own_marks(pytester, monkeypatch):
    """Who marks all async tests of a module marks ours, too."""
    own = "import pytest_asyncio\npytestmark = pytest.mark.asyncio\n"
    marked = own + ASYNC.replace("@pytest.fixture", "@pytest_asyncio.fixture")
    ini = "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"
    result = run(
        pytester, monkeypatch, (*ALONE, "pytest_asyncio.plugin"), ini=ini, test_async=marked
    )
    result.assert_outcomes(passed=3)


def test_beside_anyio(pytester, monkeypatch):
    marked = (
        "pytestmark = pytest.mark.anyio\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    )
    result = run(
        pytester,
        monkeypatch,
        ("anyio.pytest_plugin", *ALONE),
        test_sync=SYNC,
        test_async=marked + ASYNC,
        test_others=marked + OTHERS,
    )
    result.assert_outcomes(passed=11)


def test_beside_xdist(pytester, monkeypatch):
    result = run(
        pytester,
        monkeypatch,
        ("xdist.plugin", *ALONE),
        *("-n", "2", "--dist", "loadfile"),
        test_sync=SYNC,
    )
    result.assert_outcomes(passed=7)


def test_options_of_ini_and_command_line(pytester, monkeypatch):
    ini = (
        "trireme_nodes = 2\ntrireme_controllers = * -cronjob\n"
        "trireme_crds = crd.yaml\ntrireme_feature_gates = MutatingAdmissionPolicy=true\n"
    )
    pytester.path.joinpath("crd.yaml").write_text(CRD)
    tests = """
def test_ini(cluster, request):
    nodes = int(request.config.getoption("trireme_nodes") or 2)
    assert len(cluster.list("Node")) == nodes
    cluster.create({"apiVersion": "example.org/v1", "kind": "Shirt", "metadata": {"name": "a"}})
    assert cluster.get("shirts", "a")["metadata"]["name"] == "a"
    assert cluster.aio.options.feature_gates == {"MutatingAdmissionPolicy": True}
    assert cluster.aio.options.seed == 7

@pytest.mark.trireme(runtime="none", nodes=None)
def test_control_plane_alone(cluster):
    assert cluster.list("Node") == []
"""
    for args in (("--trireme-nodes=1",), ()):
        result = run(
            pytester, monkeypatch, ALONE, "--trireme-seed=7", *args, ini=ini, test_ini=tests
        )
        result.assert_outcomes(passed=2)


def test_failures_say_the_seed(pytester, monkeypatch):
    tests = """
def test_fails(cluster):
    assert not cluster.list("Node")

@pytest.mark.trireme(node=3)
def test_unknown_option(cluster): ...

@pytest.mark.trireme(controllers=["*", "nonsense"])
def test_unknown_controller(cluster): ...

def test_both(cluster, shared_cluster): ...
"""
    result = run(pytester, monkeypatch, ALONE, "--trireme-seed=random", test_failing=tests)
    result.assert_outcomes(failed=1, errors=3)
    result.stdout.re_match_lines_random(
        [
            r"replay with --trireme-seed=\d+",
            r".*unexpected keyword argument 'node'",
            r'.*"nonsense" is not in the list of known controllers',
            r".*a test has one clock: use cluster or shared_cluster, not both",
        ]
    )


CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shirts.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: shirts, singular: shirt, kind: Shirt}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
