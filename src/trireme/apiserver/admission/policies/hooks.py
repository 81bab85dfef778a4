"""The policies that are in force: each with its bindings, compiled.

In: policies and bindings in the store. Out: ``Hook``s by the policies' names; made anew when one of
these objects was written, a policy is compiled again only when it is another. Called by both
plugins. Upstream: apiserver ``policy/generic`` (policy_source, policy_dispatcher).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from trireme.api.core.v1.namespace import Namespace
from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes, Context
from trireme.apiserver.admission.matching import matcher, request, variables
from trireme.apiserver.admission.matching.matcher import Matcher
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.admission.policies import project
from trireme.apiserver.admission.policies.evaluate import Given, Uses
from trireme.apiserver.admission.policies.params import NotConfigured, Params
from trireme.apiserver.admission.policies.project import Parts
from trireme.apiserver.cache.changes import Changes
from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors
from trireme.machinery.codec import json

C = TypeVar("C")

# Kinds that no policy is asked about: those of the policies, which could lock themselves in, and
# those that other requests need to be answered.
_EXCLUDED: Final = frozenset(
    (
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "selfsubjectreviews.authentication.k8s.io",
        "tokenreviews.authentication.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
    )
)
# What of a namespace's metadata expressions see.
_NAMESPACE_METADATA: Final = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations",
    "finalizers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding, and what it is about; None: all that its policy is about."""

    binding: Any
    matcher: Matcher | None

    @property
    def name(self) -> str:
        return str(self.binding.metadata.name)


@dataclass(frozen=True, slots=True)
class Hook(Generic[C]):
    """A policy with its bindings."""

    policy: Any
    compiled: C
    matcher: Matcher
    bindings: list[Bound]

    @property
    def name(self) -> str:
        return str(self.policy.metadata.name)


class Error(NamedTuple):
    """What is wrong with the configuration of a policy, or of its binding."""

    hook: Hook[Any]
    bound: Bound | None
    message: str


class Invocation(NamedTuple):
    """A policy to be asked, for a binding, with a parameter."""

    hook: Hook[Any]
    bound: Bound
    version: Version
    param: Any


class Hooks(Generic[C]):
    """The policies of one kind. ``compile`` makes of a policy what evaluates it."""

    def __init__(self, policy: type, binding: type, compile: Callable[[Any], C]) -> None:
        self._kinds = policy, binding
        self._compile = compile
        self._changes: Changes | None = None
        self._hooks: list[Hook[C]] = []
        self._known: WeakKeyDictionary[Endpoint, dict[tuple[str, str], list[Hook[C]]]] = (
            WeakKeyDictionary()
        )
        self._compiled: dict[str, tuple[str, C]] = {}
        self._params = Params()

    def matching(
        self, attributes: Attributes, context: Context
    ) -> list[tuple[Hook[C], Version | errors.ApiError]]:
        """The policies that are about a write, each with the version that it names, or with what
        went wrong."""
        found: list[tuple[Hook[C], Version | errors.ApiError]] = []
        for hook in self._candidates(attributes, context):
            try:
                version = hook.matcher.match(attributes, context)
            except errors.ApiError as error:
                found.append((hook, error))
            else:
                if version is not None:
                    found.append((hook, version))
        return found

    def _candidates(self, attributes: Attributes, context: Context) -> list[Hook[C]]:
        """The policies whose rules name what is written; computed once for each kind."""
        if self._changes is None:
            self._changes = context.reader.changes(*self._kinds)
        if self._changes.any():
            self._hooks = self._make(context)
            self._known.clear()
        if not self._hooks:
            return self._hooks
        known = self._known.get(attributes.endpoint)
        if known is None:
            known = self._known[attributes.endpoint] = {}
        key = attributes.subresource, attributes.operation
        found = known.get(key)
        if found is None:
            found = known[key] = [
                hook for hook in self._hooks if hook.matcher.names(attributes, context)
            ]
        return found

    def _make(self, context: Context) -> list[Hook[C]]:
        policies, bindings = self._kinds
        bound: dict[str, list[Bound]] = {}
        for binding in _all(context, bindings):
            match = binding.spec.matchResources
            one = Bound(binding, None if match is None else matcher.of(match))
            bound.setdefault(binding.spec.policyName, []).append(one)
        before, self._compiled = self._compiled, {}
        hooks = []
        for policy in _all(context, policies):
            name, version = policy.metadata.name, policy.metadata.resourceVersion
            if name not in bound:
                continue
            known = before.get(name)
            if known is None or known[0] != version:
                known = version, self._compile(policy)
            self._compiled[name] = known
            about = matcher.of(policy.spec.matchConstraints)
            hooks.append(Hook(policy, known[1], about, bound[name]))
        return hooks

    async def invocations(
        self, hook: Hook[C], version: Version, attributes: Attributes, context: Context
    ) -> tuple[list[Invocation], list[Error]]:
        """Whom to ask for one policy: each binding that is about the write, with each of its
        parameters."""
        found: list[Invocation] = []
        problems: list[Error] = []
        kind, endpoint = hook.policy.spec.paramKind, None
        if kind is not None:
            try:
                endpoint = self._params.endpoint(kind, context)
            except NotConfigured as error:
                return [], [Error(hook, None, str(error))]
        namespace = matcher.namespace_of(attributes)
        for bound in hook.bindings:
            try:
                if bound.matcher and bound.matcher.match(attributes, context) is None:
                    continue
                ref = bound.binding.spec.paramRef
                params = [None]
                if endpoint is not None and ref is not None:
                    params = await self._params.collect(endpoint, ref, namespace, context)
            except errors.ApiError as problem:
                problems.append(Error(hook, bound, problem.message))
            except NotConfigured as error:
                problems.append(Error(hook, bound, str(error)))
            else:
                found += [Invocation(hook, bound, version, param) for param in params]
        return found, problems


def _all(context: Context, kind: type) -> list[Any]:
    return context.reader.list(kind)


def handles(group_resource: str) -> bool:
    """Whether policies are asked about a kind."""
    return group_resource not in _EXCLUDED


class Values:
    """The variables of expressions for one write: made as far as they are used."""

    def __init__(self, attributes: Attributes, context: Context) -> None:
        self._attributes = attributes
        self._context = context
        self._converted: dict[tuple[int, str], Any] = {}
        self._namespace: Any = None
        self._authorizers: dict[str, Any] | None = None

    async def of(self, invocation: Invocation, uses: Uses) -> dict[str, Any]:
        """The values of the names that are used. 404 where the namespace is not there."""
        attributes, version = self._attributes, invocation.version
        values: dict[str, Any] = {"params": invocation.param, "namespaceObject": None}
        used = uses.names
        if "object" in used:
            values["object"] = await self._part(attributes.new, version, "object", uses.object)
        if "oldObject" in used:
            values["oldObject"] = await self._part(
                attributes.old, version, "oldObject", uses.old_object
            )
        if "request" in used:
            values["request"] = Given(request.fields(attributes, version))
        if attributes.namespace and attributes.resource.type is not Namespace:
            values["namespaceObject"] = self._namespace_object("namespaceObject" in used)
        if "authorizer" in used or "authorizer.requestResource" in used:
            if self._authorizers is None:
                self._authorizers = variables.authorizers(attributes, self._context)
            values |= self._authorizers
        return values

    def matching(self, values: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
        """What match conditions see instead: no namespace, and the resource of the request."""
        activation = {**values, "namespaceObject": None}
        if "request" in values:
            attributes = self._attributes
            own = objects.version(attributes.endpoint, attributes.subresource)
            activation["request"] = Given(values["request"] | {"resource": own.resource._asdict()})
        return activation

    async def _part(self, obj: Any, version: Version, name: str, desired: Parts) -> Any:
        """The object as plain JSON of a version, or the parts of it that are desired."""
        endpoint = version.endpoint
        if (
            desired is None
            or endpoint.converts
            or endpoint.has_floats
            or self._attributes.objects is not objects.STORED
            or not isinstance(obj, msgspec.Struct)
        ):
            return await self.converted(obj, version, name)
        return project.project(obj, desired)

    async def converted(self, obj: Any, version: Version, name: str) -> Any:
        """The object as plain JSON of a version."""
        if obj is None:
            return None
        key = id(version.endpoint), name
        found = self._converted.get(key)
        if found is None:
            found = json.plain(await self._attributes.objects.converted(obj, version))
            self._converted[key] = found
        return found

    def changed(self) -> None:
        """The new object has been changed."""
        self._converted = {key: one for key, one in self._converted.items() if key[1] != "object"}

    def _namespace_object(self, is_used: bool) -> Any:
        name = self._attributes.namespace
        found = self._context.reader.get(Namespace, "", name)
        if found is None:
            raise errors.not_found("namespaces", name)
        if not is_used:
            return None
        if self._namespace is None:
            whole = json.to_plain(found)
            meta = whole["metadata"]
            whole["metadata"] = {key: meta[key] for key in _NAMESPACE_METADATA if key in meta}
            self._namespace = whole
        return self._namespace
