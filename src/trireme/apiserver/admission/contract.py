"""What an admission plugin is: it sees one write as ``Attributes`` and may change or refuse it.

All ``admit`` run first, in the order of ``order.py``; then all ``validate``, in the same order. A
plugin refuses by raising ``ApiError``. Upstream: apiserver ``admission``;
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from trireme.apiserver.admission.objects import STORED, Objects
from trireme.apiserver.authz.contract import Unanswered, answered
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.cache.changes import Changes
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.hooks import Hooks
from trireme.apiserver.monitoring.admission import ADMIT, SHORT, VALIDATE, AdmissionMetrics
from trireme.apiserver.request import Request, User
from trireme.kit.env import Env
from trireme.kit.metrics import Tally
from trireme.machinery import errors, names
from trireme.machinery.resource import Resource


@dataclass(slots=True)
class Attributes:
    """One write. ``operation``: CREATE, UPDATE, DELETE or CONNECT.

    ``new`` is None for a deletion; ``old`` is None for a creation. ``new`` may be changed in place
    by ``admit`` only. Both are of the stored version, whose resource is ``resource``; ``endpoint``
    is the version that the client asked for. ``name`` is what the request says: "" for each object
    of a deleted collection, and in ``admit`` where the name is still to be generated.
    """

    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    new: Any
    old: Any
    user: User
    dry_run: bool
    endpoint: Endpoint
    # Texts for the client, and annotations for the audit event: ``<plugin or webhook>/<key>``.
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    # The request, where a client sent one: its options are in its query.
    request: Request | None = None
    # The options of a deletion, which may come in the body.
    options: Any = None
    # How the objects look in other versions.
    objects: Objects = STORED
    # The second round of ``admit``, which a plugin asked for by ``reinvoke`` in the first one
    # because it changed the object by rules from outside. ``state`` is each plugin's own, by name.
    reinvoke: bool = False
    is_reinvocation: bool = False
    state: dict[str, Any] = field(default_factory=dict)

    def annotate(self, key: str, value: str) -> None:
        """Annotate the audit event. What is no ``domain/name`` is left out, as upstream does; the
        first value of a key stays."""
        domain, _, name = key.partition("/")
        problems = names.is_dns1123_subdomain(domain) + names.is_qualified_name(name)
        if not problems and "/" not in name:
            self.annotations.setdefault(key, value)


def forbidden_by_name(attributes: Attributes, detail: str) -> errors.ApiError:
    """403, for the name that the request says, if any."""
    return errors.forbidden(attributes.endpoint.resource.group_resource, attributes.name, detail)


def forbidden(attributes: Attributes, detail: str) -> errors.ApiError:
    """403, in the words of all plugins. An object whose name is still to be generated is named by
    what it begins with."""
    meta = getattr(attributes.new, "metadata", None)
    name = attributes.name or (meta and (meta.name or meta.generateName)) or "Unknown"
    return errors.forbidden(attributes.resource.group_resource, name, detail)


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin may use: typed reads, the injected world, what users may do, and a way to write
    the status of an object in the version that it was read in (409 when that is not the newest)."""

    reader: Reader
    env: Env
    authorizer: UnionAuthorizer
    write_status: Callable[[Any], Awaitable[None]]
    # Makes an object as the API server's own.
    create: Callable[[Any], Awaitable[None]]
    # Asks webhooks.
    hooks: Hooks
    # The endpoints of all served versions of an endpoint's kind, its own among them.
    versions: Callable[[Endpoint], list[Endpoint]]
    # The endpoint of a kind by group, version and kind; None where nothing serves it.
    of_kind: Callable[[str, str, str], Endpoint | None]


class Plugin(Protocol):
    """``handles`` is asked once per (resource, subresource, operation) and its answer kept."""

    name: str

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool: ...

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None: ...

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None: ...


Step = Callable[[Attributes, Context], Awaitable[None] | None]


class PluginBase:
    """A plugin that does nothing yet: real ones override what they need.

    ``configured_by``: kinds without whose objects it does nothing, so that it is not asked.
    """

    name = ""
    configured_by: tuple[type, ...] = ()

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return True

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        return None

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        return None


class _Call(NamedTuple):
    """A plugin's step as a kind of writes takes it, and where it is observed when it accepts."""

    step: Step
    plugin: str
    accepted: Tally


class Chain:
    """The plugins in order. Which steps of which of them a write takes is computed once per kind,
    and again when what configures them has changed."""

    def __init__(self, plugins: list[Plugin], context: Context) -> None:
        self._plugins = plugins
        self._context = context
        self._metrics = AdmissionMetrics(context.env.metrics)
        self._now = context.env.clock.monotonic
        self._changes: Changes | None = None
        self._known: dict[_Key, list[_Call]] = {}

    async def admit(self, attributes: Attributes) -> None:
        self._follow()
        await self._run(ADMIT, attributes)
        if attributes.reinvoke:
            attributes.is_reinvocation = True
            await self._run(ADMIT, attributes)

    async def validate(self, attributes: Attributes) -> None:
        await self._run(VALIDATE, attributes)

    async def _run(self, name: str, attributes: Attributes) -> None:
        operation = attributes.operation
        calls = self._calls(name, attributes)
        now = self._now
        at = began = now()
        asked = ""
        try:
            for step, asked, accepted in calls:  # noqa: B007
                try:
                    waiting = step(attributes, self._context)
                except Unanswered:
                    waiting = self._asking(step, attributes)
                if waiting is not None:
                    await waiting
                before, at = at, now()
                seconds = at - before
                if seconds < SHORT:
                    # ``observe``, without the call: most plugins look at a field and are done.
                    accepted.counts[0] += 1
                    accepted.total += seconds
                else:
                    accepted.observe(seconds)
        except errors.ApiError:
            after = now()
            metrics = self._metrics
            metrics.plugin(asked, name, operation, rejected=True).observe(after - at)
            metrics.step(name, operation, rejected=True).observe(after - began)
            raise
        self._metrics.step(name, operation).observe(at - began)

    async def _asking(self, step: Step, attributes: Attributes) -> None:
        """A step that asks what webhooks may do: the plugin changes nothing before it has asked."""
        context = replace(self._context, authorizer=self._context.authorizer.session())
        waiting = await answered(lambda: step(attributes, context))
        if waiting is not None:
            await waiting

    def _follow(self) -> None:
        """Take over changes of what configures plugins. Every write is admitted before it is
        validated: once for each is enough."""
        if self._changes is None:
            kinds = dict.fromkeys(kind for one in self._plugins for kind in _configured_by(one))
            self._changes = self._context.reader.changes(*kinds)
        if self._changes.any():
            self._known.clear()

    def _calls(self, name: str, attributes: Attributes) -> list[_Call]:
        resource, operation = attributes.resource, attributes.operation
        key = (name, resource.group_resource, attributes.subresource, operation)
        calls = self._known.get(key)
        if calls is None:
            calls = self._known[key] = [
                _Call(
                    getattr(plugin, name),
                    plugin.name,
                    self._metrics.plugin(plugin.name, name, operation),
                )
                for plugin in self._plugins
                if getattr(type(plugin), name) is not getattr(PluginBase, name)
                and plugin.handles(resource, *key[2:])
                and all(self._context.reader.list(kind) for kind in _configured_by(plugin))
            ]
        return calls


# Step, group resource, subresource, operation.
_Key = tuple[str, str, str, str]


def _configured_by(plugin: Plugin) -> tuple[type, ...]:
    return plugin.configured_by if isinstance(plugin, PluginBase) else ()
