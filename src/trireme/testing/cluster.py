"""A whole cluster in a test: API server, controllers, scheduler, and nodes with a fake runtime.

    async with Cluster(nodes=2) as cluster:
        await cluster.apply("cronjob.yaml")
        await cluster.advance("31d")
        assert len(await cluster.list("Job", namespace="default")) == 3

In: ``options.Options``. Out: objects, through the same client that components use; a kind by its
name gives dicts, a type of ``trireme.api`` its structs. Everything is real but the containers and
the machines. On a ``VirtualLoop`` (``run``, and the fixtures) time is the cluster's own and leaps
whenever nothing can run; on any other loop it is real. ``sync.SyncCluster`` has the same without
``await``. See docs/decisions/testing.md.
"""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, overload

import msgspec

from trireme.apiserver.request import User
from trireme.client import client as clients
from trireme.client import codec
from trireme.client.client import Client
from trireme.client.resource_interface import ResourceInterface
from trireme.cluster import inprocess, local_path
from trireme.cluster.inprocess import InProcessCluster, Keys, Setup
from trireme.kit.clock import VIRTUAL_EPOCH, Clock, RealClock, VirtualClock, VirtualLoop
from trireme.kit.env import Env
from trireme.kubelet.cri.model import ContainerState
from trireme.machinery import errors, meta
from trireme.machinery.codec import json
from trireme.machinery.resource import Resource
from trireme.store.memory import Contents, MemoryStore
from trireme.testing import conditions, differences, durations, kinds, manifests, report
from trireme.testing.differences import Difference
from trireme.testing.durations import Duration
from trireme.testing.fake_cri import Behave, FakeRuntime
from trireme.testing.faults import Faults, Rule
from trireme.testing.journal import Change, Journal
from trireme.testing.machines import Machines, by_owner
from trireme.testing.manifests import Manifest
from trireme.testing.options import CONTAINERS, Options
from trireme.testing.snapshot import Snapshot
from trireme.testing.transports import AsUser
from trireme.testing.waiting import Waiting

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
Object = dict[str, Any]
# What a test waits for: true, or free of AssertionError, in the end.
Condition = Callable[[], "Awaitable[T] | T"]
MANAGER = "trireme-test"
# The last seconds of a long ``advance``, in which every periodic loop has its turn.
TAIL = 65.0


class ClusterEnded(RuntimeError):
    """A component of the cluster failed, and all ended with it; the cause says why."""


class Cluster:
    """One cluster, from ``async with`` or ``start`` until ``close``. ``options`` are the keywords
    of ``Options``."""

    def __init__(
        self,
        options: Options | None = None,
        /,
        *,
        snapshot: Snapshot | None = None,
        **keywords: Any,
    ) -> None:
        self.options = options or Options(**keywords)
        self._from = snapshot
        if snapshot is not None and snapshot.nodes != self.options.node_names:
            raise ValueError(f"the snapshot has the nodes {', '.join(snapshot.nodes) or 'none'}")
        if self.options.runtime == CONTAINERS:
            raise NotImplementedError(
                "runtime 'containers': nodes with real containers are made by `trireme up` and run "
                "in real time; use its kubeconfig"
            )
        self._stop = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._forks: builtins.list[Cluster] = []

    # Life

    async def start(self) -> Self:
        """Returns once every component runs and every node is ready."""
        self._loop = asyncio.get_running_loop()
        ready = self._loop.create_future()
        self._main = self._loop.create_task(self._run(ready), name="cluster")
        await asyncio.wait({ready, self._main}, return_when=asyncio.FIRST_COMPLETED)
        if self._main.done():
            self._main.result()
        return self

    async def close(self) -> None:
        """End every component. Raises what one of them failed with."""
        for fork in self._forks:
            await fork.close()
        self._forks.clear()
        await self._end()

    async def _end(self) -> None:
        if self._main is None:
            return
        self._stop.set()
        main, self._main = self._main, None
        await main

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *problem: object) -> None:
        await self.close()

    async def _run(self, ready: asyncio.Future[None]) -> None:
        async with AsyncExitStack() as stack:
            await self._compose(stack)
            if not ready.done():
                ready.set_result(None)
            await self._stop.wait()

    async def _compose(self, stack: AsyncExitStack) -> None:
        options, earlier = self.options, self._from
        self.env = Env(clock=self._clock(), rng=random.Random(options.seed))
        self.journal = Journal(self.env.clock, self.touch, earlier.changes if earlier else ())
        self.faults = Faults(self.env.clock, self.journal, self.touch)
        setup = Setup(
            store=MemoryStore(
                before_commit=self.journal.note,
                contents=Contents(
                    earlier.items, earlier.revision, earlier.compacted, earlier.events
                )
                if earlier
                else None,
            ),
            keys=Keys(earlier.signing_key, earlier.pair) if earlier else None,
            controllers=options.controllers,
            feature_gates=options.feature_gates,
            wrap=AsUser,
            answers=self.faults.answer,
        )
        self._inner = await stack.enter_async_context(inprocess.control_plane(self.env, setup))
        self.client = self._inner.client
        self.waiting = Waiting(self.env.clock, self.journal, self._check)
        self.waiting.explain = self._explain
        self._machines = Machines(by_owner(options.behave))
        stack.push_async_callback(self._machines.close)
        if earlier is not None:
            self._machines.restore(earlier.machines, self.env)
        else:
            await self._preload()
        for number, name in enumerate(options.node_names):
            await self._inner.start_node(name, self._machines.parts(number))
            stack.push_async_callback(self._stop_if_running, name)
        if earlier is None:
            for name in options.node_names:
                await self.wait("Node", name, "condition=Ready")

    def _clock(self) -> Clock:
        if not isinstance(self._loop, VirtualLoop):
            return RealClock()
        began = VIRTUAL_EPOCH if self._from is None else self._from.now
        clock = VirtualClock(self._loop, began - self._loop.time())
        clock.skips = True
        return clock

    async def _preload(self) -> None:
        for obj in local_path.objects():
            await self.client.create(obj)
        for manifest in self.options.crds:
            for made in await self._each(manifest, "", self._create_one):
                await self.wait(
                    "CustomResourceDefinition", made["metadata"]["name"], "condition=Established"
                )

    async def _stop_if_running(self, name: str) -> None:
        if self._inner.runs(name):
            await self._inner.stop(name)

    # Objects

    @overload
    async def get(self, kind: str, name: str, namespace: str = "default") -> Object: ...
    @overload
    async def get(self, kind: type[T], name: str, namespace: str = "default") -> T: ...
    async def get(self, kind: Any, name: str, namespace: str = "default") -> Any:
        """One object. ``ApiError`` where there is none; cluster-scoped kinds need no namespace."""
        resource, verbs = self._of(kind)
        return await verbs.get(name, _scope(resource, namespace))

    @overload
    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> builtins.list[Object]: ...
    @overload
    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> builtins.list[T]: ...
    async def list(
        self, kind: Any, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> builtins.list[Any]:
        """Objects of a namespace, or of all. ``labels`` and ``fields`` are selectors."""
        resource, verbs = self._of(kind)
        found = await verbs.list(
            _scope(resource, namespace), label_selector=labels, field_selector=fields
        )
        return found.items

    @overload
    async def create(self, manifest: S, namespace: str = "") -> S: ...
    @overload
    async def create(self, manifest: Object, namespace: str = "") -> Object: ...
    @overload
    async def create(self, manifest: str | Path, namespace: str = "") -> builtins.list[Object]: ...
    async def create(self, manifest: Manifest, namespace: str = "") -> Any:
        """POST. A dict or struct gives what was stored; text or a path a list of that. Objects
        without a namespace go to ``namespace``, or to ``default``."""
        return await self._write(manifest, namespace, self._create_one)

    @overload
    async def apply(self, manifest: S, namespace: str = "") -> S: ...
    @overload
    async def apply(self, manifest: Object, namespace: str = "") -> Object: ...
    @overload
    async def apply(self, manifest: str | Path, namespace: str = "") -> builtins.list[Object]: ...
    async def apply(self, manifest: Manifest, namespace: str = "") -> Any:
        """Server-side apply, as ``kubectl apply --server-side --force-conflicts``; see ``create``.
        A custom kind may be applied together with its definition."""
        return await self._write(manifest, namespace, self._apply_one)

    async def patch(
        self,
        kind: str | type,
        name: str,
        patch: Object | builtins.list[Any],
        namespace: str = "default",
        *,
        type: str = "merge",
        subresource: str = "",
    ) -> Any:
        """PATCH; ``type`` is merge, strategic or json (a list of operations)."""
        resource, verbs = self._of(kind)
        return await verbs.patch(
            name, _scope(resource, namespace), patch, kind=type, subresource=subresource
        )

    async def delete(
        self,
        kind: str | type,
        name: str,
        namespace: str = "default",
        *,
        propagation: str = "Background",
        grace: int | None = None,
    ) -> None:
        """DELETE; returns when it is accepted. ``propagation``: Background, Foreground, Orphan."""
        resource, verbs = self._of(kind)
        options = meta.DeleteOptions(propagationPolicy=propagation, gracePeriodSeconds=grace)
        await verbs.delete(name, _scope(resource, namespace), options)

    async def wait(
        self,
        kind: str | type,
        name: str,
        condition: str | Callable[[Any], Any],
        namespace: str = "default",
        *,
        within: Duration = "10m",
    ) -> Any:
        """Let time pass until an object is so, and return it. ``condition`` is a function of the
        object, or what ``kubectl wait --for`` takes: ``condition=Ready``,
        ``condition=Ready=False``, ``jsonpath={.status.phase}=Running``, ``create``, ``delete``."""
        resource, verbs = self._of(kind)
        met = conditions.parse(condition) if isinstance(condition, str) else condition

        async def look() -> Any:
            try:
                found = await verbs.get(name, _scope(resource, namespace))
            except errors.ApiError as error:
                if not errors.is_not_found(error):
                    raise
                return met is conditions.DELETED
            return found if met is not conditions.DELETED and met(found) else None

        what = condition if isinstance(condition, str) else conditions.describe(condition)
        return await self._until(look, within, f"{resource.kind} {name}: {what}")

    # Time

    @property
    def now(self) -> float:
        """The cluster's wall clock: seconds since 1970."""
        return self.env.clock.now()

    async def advance(self, duration: Duration) -> None:
        """Let time pass: seconds, or text as ``"31d"``, ``"1h30m"``."""
        length = durations.seconds(duration)
        self._check()
        self.touch()
        if length > TAIL:
            # What is left out meanwhile is made up for: deletions of what has expired, say.
            await self.env.clock.sleep(length - TAIL)
            self._check()
            self.touch()
            length = TAIL
        await self.env.clock.sleep(length)
        self._check()

    async def run_until(self, condition: Condition[T], within: Duration = "1h") -> T:
        """Let time pass until ``condition()``, which may be async, is true; returns that value.

        AssertionErrors of the condition mean "not yet". ``NeverTrue`` after ``within``."""
        return await self._until(condition, within, conditions.describe(condition))

    async def eventually(
        self, condition: Condition[T], within: Duration = "10m", message: str = ""
    ) -> T:
        """As ``run_until``, for assertions: a function that returns None without an AssertionError
        is met, too. The failure shows objects, reasons, events and the last writes."""
        what = message or conditions.describe(condition)
        return await self._until(conditions.asserting(condition), within, what)

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Within it time stands still: what is ready runs, and no timer fires. ``Frozen`` where
        something is waited for that needs time."""
        if not isinstance(self._loop, VirtualLoop):
            raise RuntimeError("the clock is real and cannot be frozen")
        self._loop.frozen += 1
        try:
            yield
        finally:
            self._loop.frozen -= 1

    # Value

    def snapshot(self) -> Snapshot:
        """The cluster at this instant."""
        self._check()
        contents = self._inner.setup.store.contents()
        keys = self._inner.keys
        return Snapshot(
            now=self.now,
            items=contents.items,
            revision=contents.revision,
            compacted=contents.compacted,
            events=contents.events,
            changes=tuple(self.journal.changes),
            machines=self._machines.state(),
            nodes=self.options.node_names,
            signing_key=keys.signing,
            authority=(keys.authority.certificate, keys.authority.key),
        )

    def history(self, kind: str | type = "", name: str = "") -> builtins.list[Change]:
        """All writes but heartbeats, oldest first: of a kind, of one object, or of everything."""
        if not kind:
            return [*self.journal.changes]
        resource, _ = self._of(kind)
        prefix = f"/registry/{resource.group_resource}/"
        return [
            change
            for change in self.journal.changes
            if change.key.startswith(prefix) and (not name or change.key.rpartition("/")[2] == name)
        ]

    def at(self, revision: int) -> dict[str, Object]:
        """Every object as it was at a revision, by its key in the store."""
        items = {item.key: item for item in self._inner.setup.store.contents().items}
        past = self.journal.undone(items, revision)
        return {key: msgspec.json.decode(item.value) for key, item in sorted(past.items())}

    def diff(self, before: int, after: int) -> builtins.list[Difference]:
        """What changed between two revisions: per object, which fields, and who wrote it."""
        return differences.between(self.at(before), self.at(after), self.journal.changes, after)

    @property
    def revision(self) -> int:
        """The store's revision: that of the last write."""
        return self._inner.setup.store.revision

    async def fork(self, *, seed: int | None = None) -> Cluster:
        """A second cluster that begins as this one is now, on the same loop; it ends with this one.
        ``seed``: that of the fork, by default the same."""
        seed = self.options.seed if seed is None else seed
        options = dataclasses.replace(self.options, seed=seed)
        made = Cluster(options, snapshot=self.snapshot())
        self._forks.append(made)
        return await made.start()

    async def restore(self, snapshot: Snapshot) -> None:
        """Be what the snapshot is, at its time; components start anew."""
        await self._end()
        self._from = snapshot
        self._stop = asyncio.Event()
        await self.start()

    # Components

    def client_for(self, user: str, groups: Sequence[str] = ()) -> Client:
        """A client of ``trireme.client`` as another user, under that user's RBAC."""
        everyone = ("system:authenticated",)
        return self._inner.client_for(User(user, groups=(*groups, *everyone)))

    async def stop(self, component: str) -> None:
        """End ``controllers``, ``scheduler`` or a node at once, as if it had lost power."""
        self.touch()
        await self._inner.stop(component)

    async def restart(self, component: str) -> None:
        """Start it again after ``stop``; a node finds its containers as they were."""
        if component == "controllers":
            await inprocess.start_controllers(self._inner)
        elif component == "scheduler":
            await inprocess.start_scheduler(self._inner)
        elif component in self.options.node_names:
            number = self.options.node_names.index(component)
            await self._inner.start_node(component, self._machines.parts(number))
        else:
            every = ", ".join(("controllers", "scheduler", *self.options.node_names))
            raise ValueError(f"no component {component!r}: one of {every}")

    def partition(self, node: str) -> Rule:
        """A node cannot reach the API server, until ``remove`` of the rule; its containers run on.
        Other faults: ``faults``."""
        return self.faults.partition(user=f"system:node:{node}")

    async def crash(
        self, pod: str, container: str = "", namespace: str = "default", *, exit_code: int = 1
    ) -> None:
        """A running container ends by itself. LookupError where none runs."""
        for runtime in self._machines.runtimes.values():
            for found in runtime.of_pod(pod, namespace):
                if container in ("", found.name) and found.state == ContainerState.RUNNING:
                    runtime.crash(pod, found.name, exit_code, namespace)
                    self.touch()
                    return
        raise LookupError(f"no container of pod {namespace}/{pod} runs")

    def fill_disk(self, node: str = "node-0", free: float = 0.01) -> None:
        """The disk of a node has this part left; ``free=0.8`` empties it again."""
        host = self._machines.hosts[self.options.node_names.index(node)]
        disk = host.disk
        host.disk = msgspec.structs.replace(disk, available=int(disk.capacity * free))
        self.touch()

    def runtime(self, node: str = "node-0") -> FakeRuntime:
        """The fake container runtime of a node."""
        return self._machines.runtimes[self.options.node_names.index(node)]

    # Inside

    def touch(self) -> None:
        """Something has changed that the API server does not see: periodic loops look again."""
        if isinstance(self.env.clock, VirtualClock):
            self.env.clock.touch()

    async def _explain(self) -> str:
        components = ("controllers", "scheduler", *self.options.node_names)
        return report.text(self._inner, self.journal, self.faults, components)

    def _check(self) -> None:
        if self._main is not None and self._main.done():
            raise ClusterEnded("a component failed") from self._main.exception()

    async def _until(self, condition: Condition[T], within: Duration, what: str) -> T:
        self.touch()
        return await self.waiting.until(condition, durations.seconds(within), what)

    def _of(self, kind: str | type) -> tuple[Resource, ResourceInterface[Any]]:
        self._check()
        if isinstance(kind, str):
            resource = kinds.find(self._inner.server.context.served, kind)
            return resource, self._dynamic(resource)
        return clients.resource_of(kind), self.client.of(kind)

    def _dynamic(self, resource: Resource) -> ResourceInterface[Object]:
        return self.client.dynamic(
            resource.group, resource.version, resource.plural, resource.namespaced
        )

    async def _write(
        self, manifest: Manifest, namespace: str, one: Callable[..., Awaitable[Object]]
    ) -> Any:
        written = await self._each(manifest, namespace, one)
        if isinstance(manifest, str | Path):
            return written
        if isinstance(manifest, msgspec.Struct):
            return codec.decoder(type(manifest)).one(json.encode(written[0]))
        return written[0]

    async def _each(
        self, manifest: Manifest, namespace: str, one: Callable[..., Awaitable[Object]]
    ) -> builtins.list[Object]:
        self._check()
        objects = manifests.load(manifest, self.options.folders)
        return [await self._one(obj, namespace, one) for obj in objects]

    async def _one(
        self, obj: Object, namespace: str, one: Callable[..., Awaitable[Object]]
    ) -> Object:
        resource = await self._served(obj)
        own = (obj.get("metadata") or {}).get("namespace")
        return await one(obj, resource, _scope(resource, own or namespace or "default"))

    async def _served(self, obj: Object) -> Resource:
        """The resource of an object; a definition that was just written is waited for."""
        served = self._inner.server.context.served
        try:
            return kinds.of_manifest(served, obj)
        except kinds.UnknownKind:
            if not any(True for _ in served.custom.all()):
                raise
        # It is served a moment after it was created.
        await self.env.clock.sleep(1.0)
        return kinds.of_manifest(served, obj)

    async def _create_one(self, obj: Object, resource: Resource, namespace: str) -> Object:
        return await self._dynamic(resource).create(obj, namespace)

    async def _apply_one(self, obj: Object, resource: Resource, namespace: str) -> Object:
        name = obj["metadata"]["name"]
        return await self._dynamic(resource).apply(name, namespace, obj, MANAGER)


def _scope(resource: Resource, namespace: str) -> str:
    return namespace if resource.namespaced else ""


@asynccontextmanager
async def running(
    env: Env, *, nodes: int = 2, behave: Behave | None = None
) -> AsyncIterator[InProcessCluster]:
    """A cluster with nodes ``node-0`` and so on, and a default StorageClass, for tests of its own
    parts. Images are there whatever they are called."""
    async with inprocess.control_plane(env) as cluster:
        for obj in local_path.objects():
            await cluster.client.create(obj)
        machines = Machines(behave)
        for number in range(nodes):
            await cluster.start_node(f"node-{number}", machines.parts(number))
        try:
            yield cluster
        finally:
            for number in range(nodes):
                if cluster.runs(f"node-{number}"):
                    await cluster.stop(f"node-{number}")
            await machines.close()
