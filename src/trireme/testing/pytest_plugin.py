"""The pytest plugin: clusters as fixtures.

    def test_sync(cluster): cluster.apply("app.yaml"); cluster.advance("5m")
    async def test_async(cluster): await cluster.advance("5m")

In: fixtures by name, the marker ``trireme``, options. Out: a ``SyncCluster`` for a test that is
``def``, a ``Cluster`` for ``async def``. Such a test, and async fixtures that use a cluster, run on
the cluster's own virtual loop, so that their sleeps take no time; pytest-asyncio and anyio do not
see them as async, and all others are theirs. Nothing heavy is imported until a fixture is used.
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from trireme.testing.cluster import Cluster
    from trireme.testing.loops import Driver
    from trireme.testing.options import Options
    from trireme.testing.snapshot import Snapshot
    from trireme.testing.sync import SyncCluster

MARKER = "trireme"
# Fixture -> the fixture of the loop that it lives on.
_DRIVERS = {
    "cluster": "trireme_driver",
    "cluster_factory": "trireme_driver",
    "shared_cluster": "trireme_shared_driver",
}
_drivers = pytest.StashKey[dict[str, str]]()
_warmed = pytest.StashKey["dict[Any, Snapshot]"]()
_seeds = pytest.StashKey[list[int]]()
_OPTIONS: tuple[tuple[str, Literal["string", "args", "paths"], str], ...] = (
    ("trireme_nodes", "string", "how many fake nodes a cluster has"),
    ("trireme_runtime", "string", "none, fake or containers"),
    ("trireme_controllers", "args", "which controllers run, as --controllers has it"),
    ("trireme_feature_gates", "args", "Name=true or Name=false"),
    ("trireme_crds", "paths", "manifests that are there from the start"),
    ("trireme_seed", "string", "a number, or random"),
)


# Options and hooks


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, kind, text in _OPTIONS:
        parser.addini(name, text, type=kind, default=None)
    group = parser.getgroup("trireme", "clusters in tests")
    group.addoption("--trireme-nodes", default=None, help=_OPTIONS[0][2])
    group.addoption("--trireme-runtime", default=None, help=_OPTIONS[1][2])
    group.addoption(
        "--trireme-seed",
        default=None,
        help="seed of all chance in clusters: a number, or random; failures print it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(nodes, controllers, feature_gates, crds, runtime, seed, behave): options of the "
        "test's cluster",
    )
    config.stash[_drivers] = dict(_DRIVERS)
    config.stash[_warmed] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Async fixtures that use a cluster run on its loop."""
    known = request.config.stash[_drivers]
    driver = next((known[name] for name in fixturedef.argnames if name in known), None)
    if driver is None or fixturedef.argname in _DRIVERS:
        return (yield)
    known[fixturedef.argname] = driver
    function = fixturedef.func
    if not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", _plain_fixture(function, request.getfixturevalue(driver)))
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Async tests that use a cluster run on its loop."""
    driver = _driver_of(item)
    if driver is None or not isinstance(item, pytest.Function):
        return (yield)
    if not inspect.iscoroutinefunction(item.obj):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item, "obj", _plain(item.obj, item._request.getfixturevalue(driver)))
        # That of pytest-asyncio's items would begin a loop of its own.
        patch.setattr(item, "runtest", functools.partial(pytest.Function.runtest, item))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (seeds := item.stash.get(_seeds, None)):
        text = ", ".join(map(str, dict.fromkeys(seeds)))
        report.sections.append(("trireme", f"replay with --trireme-seed={text}"))
    return report


def _driver_of(item: pytest.Item) -> str | None:
    known = item.config.stash[_drivers]
    names = getattr(item, "fixturenames", ())
    return next((known[name] for name in names if name in known), None)


def _plain(function: Callable[..., Any], driver: Driver) -> Callable[..., None]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> None:
        driver.run(function(*args, **kwargs))

    return call


def _plain_fixture(function: Callable[..., Any], driver: Driver) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def value(*args: Any, **kwargs: Any) -> Any:
            return driver.run(function(*args, **kwargs))

        return value

    @functools.wraps(function)
    def values(*args: Any, **kwargs: Any) -> Iterator[Any]:
        generator = function(*args, **kwargs)
        yield driver.run(anext(generator))
        rest = driver.run(anext(generator, driver))
        if rest is not driver:
            raise RuntimeError(f"fixture {function.__name__} yields more than once")

    return values


# Fixtures


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, trireme_driver: Driver
) -> Iterator[SyncCluster | Cluster]:
    """A cluster of this test's own, ready, forked from a warmed one with the same options."""
    yield from _clusters(request, trireme_driver, _keywords(request))


@pytest.fixture(scope="session")
def shared_cluster(
    request: pytest.FixtureRequest, trireme_shared_driver: Driver
) -> Iterator[SyncCluster]:
    """One cluster for all tests of the session; ``shared_cluster.aio`` in ``async def`` tests."""
    from trireme.testing.sync import SyncCluster

    options = _options(request, _configured(request.config))
    with SyncCluster(_forked(request, options), trireme_shared_driver) as made:
        yield made


@pytest.fixture
def cluster_factory(
    request: pytest.FixtureRequest, trireme_driver: Driver
) -> Iterator[Callable[..., Any]]:
    """Makes further clusters on the test's clock: ``cluster_factory(nodes=3)``, awaited in
    ``async def`` tests. They end with the test."""
    from trireme.testing.sync import SyncCluster

    made: list[SyncCluster] = []

    def make(**keywords: Any) -> SyncCluster:
        options = _options(request, _keywords(request) | keywords)
        one = SyncCluster(_forked(request, options), trireme_driver)
        made.append(one)
        return one

    async def make_async(**keywords: Any) -> Cluster:
        return await make(**keywords).aio.start()

    def make_sync(**keywords: Any) -> SyncCluster:
        return make(**keywords).__enter__()

    yield make_async if _is_async(request) else make_sync
    for one in reversed(made):
        one.__exit__()


@pytest.fixture
def trireme_driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """The loop of a test's clusters."""
    if "shared_cluster" in request.fixturenames:
        pytest.fail("a test has one clock: use cluster or shared_cluster, not both", pytrace=False)
    yield from _driver()


@pytest.fixture(scope="session")
def trireme_shared_driver() -> Iterator[Driver]:
    """The loop of the session's cluster."""
    yield from _driver()


def _driver() -> Iterator[Driver]:
    from trireme.testing.loops import Driver

    driver = Driver()
    yield driver
    driver.close()


def _clusters(
    request: pytest.FixtureRequest, driver: Driver, keywords: dict[str, Any]
) -> Iterator[SyncCluster | Cluster]:
    from trireme.testing.sync import SyncCluster

    options = _options(request, keywords)
    with SyncCluster(_forked(request, options), driver) as made:
        yield made.aio if _is_async(request) else made


def _is_async(request: pytest.FixtureRequest) -> bool:
    return inspect.iscoroutinefunction(getattr(request.node, "function", None))


def _forked(request: pytest.FixtureRequest, options: Options) -> Cluster:
    """A cluster, not started, that begins as a warmed one."""
    from trireme.testing.cluster import Cluster

    return Cluster(options, snapshot=_warm(request.config.stash[_warmed], options))


def _warm(known: dict[Any, Snapshot], options: Options) -> Snapshot:
    """What every cluster with these options begins with, whatever its seed and its containers."""
    import dataclasses
    from concurrent.futures import ThreadPoolExecutor

    from trireme.testing import loops
    from trireme.testing.sync import SyncCluster

    plain = dataclasses.replace(options, seed=0, behave=None)

    def warm() -> Snapshot:
        with SyncCluster(**vars(plain)) as made:
            return made.snapshot()

    key = repr(plain)
    if key not in known:
        if loops.is_running():
            # Asked for by an async test: this thread's loop waits, as for any other call.
            with ThreadPoolExecutor(1) as threads:
                known[key] = threads.submit(warm).result()
        else:
            known[key] = warm()
    return known[key]


# Options of a test


def _keywords(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The session's options, then those of the markers, the closest last."""
    keywords = _configured(request.config)
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        if marker.args:
            raise pytest.UsageError(f"@pytest.mark.{MARKER} takes keywords only")
        keywords |= marker.kwargs
    return keywords


def _options(request: pytest.FixtureRequest, keywords: dict[str, Any]) -> Options:
    from trireme.testing.options import Options

    root = request.config.rootpath
    folders = (root,) if request.scope == "session" else (request.path.parent, root)
    try:
        made = Options(**({"folders": folders} | keywords))
    except (TypeError, ValueError) as problem:
        raise pytest.UsageError(f"{request.node.nodeid}: {problem}") from None
    request.node.stash.setdefault(_seeds, []).append(made.seed)
    return made


def _configured(config: pytest.Config) -> dict[str, Any]:
    """What command line and ini file say; the command line counts."""
    found = {name.removeprefix("trireme_"): config.getini(name) for name, _, _ in _OPTIONS}
    for name in ("nodes", "runtime", "seed"):
        given = config.getoption(f"trireme_{name}")
        if given is not None:
            found[name] = given
    found = {name: value for name, value in found.items() if value not in (None, "", [])}
    if "nodes" in found:
        found["nodes"] = int(found["nodes"])
    if "seed" in found:
        found["seed"] = _seed(config, found["seed"])
    if "feature_gates" in found:
        pairs = (text.partition("=") for text in found["feature_gates"])
        found["feature_gates"] = {name: state.lower() == "true" for name, _, state in pairs}
    return found


def _seed(config: pytest.Config, text: str) -> int:
    if text != "random":
        return int(text)
    drawn = random.SystemRandom().randrange(2**32)
    # One for the whole session.
    config.option.trireme_seed = str(drawn)
    return drawn
