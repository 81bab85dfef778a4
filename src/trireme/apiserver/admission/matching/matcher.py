"""Whether a webhook or policy is about a write, and in which version of its kind.

In: its rules and selectors, as configured; a write. Out: the version that the first matching rule
names, or None. Upstream: apiserver ``webhook/generic`` ShouldCallHook, ``policy/matching``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from trireme.api.admissionregistration.v1.matching import MatchResources
from trireme.api.core.v1.namespace import Namespace
from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes, Context
from trireme.apiserver.admission.matching import rules
from trireme.apiserver.admission.matching.rules import Rule
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.endpoint import Endpoint
from trireme.machinery import errors, labels
from trireme.machinery.labels import Selector
from trireme.machinery.meta import LabelSelector


class _Match(NamedTuple):
    """A rule that matches; ``names``: only objects of these names, where there are any."""

    names: frozenset[str]
    version: Version

    def has(self, name: str) -> bool:
        return not self.names or name in self.names


class _Matches(NamedTuple):
    excluded: list[_Match]
    included: list[_Match]


class Matcher:
    """The rules and selectors of one webhook or policy, compiled.

    Without ``included`` rules all is matched, as policies have it. ``equivalent``: a rule also
    matches a request for another version of what it names.
    """

    def __init__(
        self,
        included: Sequence[Rule],
        namespaces: LabelSelector | None,
        objects_: LabelSelector | None,
        *,
        equivalent: bool,
        excluded: Sequence[Rule] = (),
        everything: bool = False,
    ) -> None:
        self._included, self._excluded = included, excluded
        self._equivalent = equivalent
        self._everything = everything
        self._namespaces, self._objects = _selector(namespaces), _selector(objects_)
        self._known: WeakKeyDictionary[Endpoint, dict[tuple[str, str], _Matches]] = (
            WeakKeyDictionary()
        )

    def match(self, attributes: Attributes, context: Context) -> Version | None:
        """The version that is matched. ApiError where the namespace to look at is not there."""
        found = self._matches(attributes, context)
        if not found.included:
            return None
        name = attributes.name
        if any(match.has(name) for match in found.excluded):
            return None
        match = next((match for match in found.included if match.has(name)), None)
        if match is None:
            return None
        if not self._selects_object(attributes):
            return None
        return match.version if self._selects_namespace(attributes, context) else None

    def names(self, attributes: Attributes, context: Context) -> bool:
        """Whether a rule names what is written, whatever its name and labels."""
        return bool(self._matches(attributes, context).included)

    def _matches(self, attributes: Attributes, context: Context) -> _Matches:
        known = self._known.get(attributes.endpoint)
        if known is None:
            known = self._known[attributes.endpoint] = {}
        key = attributes.subresource, attributes.operation
        found = known.get(key)
        if found is None:
            found = known[key] = self._compute(attributes, context)
        return found

    def _compute(self, attributes: Attributes, context: Context) -> _Matches:
        endpoint, subresource = attributes.endpoint, attributes.subresource
        own = objects.version(endpoint, subresource)
        others = [
            objects.version(other, subresource)
            for other in (context.versions(endpoint) if self._equivalent else ())
            if other is not endpoint
            and (not subresource or other.resource.subresource(subresource) is not None)
        ]
        namespaced = endpoint.resource.namespaced

        def matching(texts: Sequence[Rule]) -> list[_Match]:
            # As requested comes first, whatever the order of the rules.
            pairs = [(rule, own) for rule in texts]
            pairs += [(rule, other) for rule in texts for other in others]
            return [
                _Match(frozenset(getattr(rule, "resourceNames", ())), version)
                for rule, version in pairs
                if rules.matches(
                    rule, attributes.operation, version.resource, subresource, namespaced
                )
            ]

        if self._everything and not self._included:
            return _Matches(matching(self._excluded), [_Match(frozenset(), own)])
        return _Matches(matching(self._excluded), matching(self._included))

    def _selects_object(self, attributes: Attributes) -> bool:
        if self._objects is None:
            return True
        return any(
            obj is not None
            and hasattr(obj, "metadata")
            and self._objects.matches(obj.metadata.labels)
            for obj in (attributes.new, attributes.old)
        )

    def _selects_namespace(self, attributes: Attributes, context: Context) -> bool:
        if self._namespaces is None:
            return True
        found = namespace_labels(attributes, context)
        return found is None or self._namespaces.matches(found)


def of(match: MatchResources | None) -> Matcher:
    """The matcher of a policy or of its binding; without ``match`` it matches everything."""
    match = match or MatchResources(
        namespaceSelector=LabelSelector(), objectSelector=LabelSelector()
    )
    return Matcher(
        match.resourceRules,
        match.namespaceSelector or LabelSelector(),
        match.objectSelector or LabelSelector(),
        equivalent=match.matchPolicy == "Equivalent",
        excluded=match.excludeResourceRules,
        everything=True,
    )


def namespace_of(attributes: Attributes) -> str:
    """The namespace of a request; that of a request for a namespace is itself."""
    if attributes.resource.type is Namespace:
        return attributes.name
    return attributes.namespace


def namespace_labels(attributes: Attributes, context: Context) -> dict[str, str] | None:
    """The labels that namespace selectors look at; None for what is in no namespace. 404 where the
    namespace is not there."""
    if attributes.resource.type is Namespace:
        if not attributes.subresource and attributes.operation in ("CREATE", "UPDATE"):
            own: dict[str, str] = attributes.new.metadata.labels
            return own
    elif not attributes.namespace:
        return None
    name = namespace_of(attributes)
    namespace = context.reader.get(Namespace, "", name)
    if namespace is None:
        raise errors.not_found("namespaces", name)
    return namespace.metadata.labels


def _selector(given: LabelSelector | None) -> Selector | None:
    """None where everything is selected."""
    selector = labels.from_struct(given)
    return None if selector.empty() else selector
