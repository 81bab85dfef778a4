"""What an admission plugin is: it sees one write as ``Attributes`` and may change or refuse it.

All ``admit`` run first, in the order of ``order.py``; then all ``validate``, in the same order. A
plugin refuses by raising ``ApiError``. Upstream: apiserver ``admission``;
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from trireme.apiserver.admission.objects import STORED, Objects
from trireme.apiserver.authz.contract import Unanswered, answered
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.cache.changes import Changes
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.hooks import Hooks
from trireme.apiserver.request import Request, User
from trireme.kit.env import Env
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


class Chain:
    """The plugins in order. Which steps of which of them a write takes is computed once per kind,
    and again when what configures them has changed."""

    def __init__(self, plugins: list[Plugin], context: Context) -> None:
        self._plugins = plugins
        self._context = context
        self._changes: Changes | None = None
        self._admitting: dict[_Key, list[Step]] = {}
        self._validating: dict[_Key, list[Step]] = {}

    async def admit(self, attributes: Attributes) -> None:
        self._follow()
        steps = self._steps(self._admitting, "admit", attributes)
        await self._run(steps, attributes)
        if attributes.reinvoke:
            attributes.is_reinvocation = True
            await self._run(steps, attributes)

    async def validate(self, attributes: Attributes) -> None:
        await self._run(self._steps(self._validating, "validate", attributes), attributes)

    async def _run(self, steps: list[Step], attributes: Attributes) -> None:
        for step in steps:
            try:
                waiting = step(attributes, self._context)
            except Unanswered:
                waiting = self._asking(step, attributes)
            if waiting is not None:
                await waiting

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
            self._admitting.clear()
            self._validating.clear()

    def _steps(
        self, known: dict[_Key, list[Step]], name: str, attributes: Attributes
    ) -> list[Step]:
        resource = attributes.resource
        key = (resource.group_resource, attributes.subresource, attributes.operation)
        steps = known.get(key)
        if steps is None:
            steps = known[key] = [
                getattr(plugin, name)
                for plugin in self._plugins
                if getattr(type(plugin), name) is not getattr(PluginBase, name)
                and plugin.handles(resource, *key[1:])
                and all(self._context.reader.list(kind) for kind in _configured_by(plugin))
            ]
        return steps


# Group resource, subresource, operation.
_Key = tuple[str, str, str]


def _configured_by(plugin: Plugin) -> tuple[type, ...]:
    return plugin.configured_by if isinstance(plugin, PluginBase) else ()
