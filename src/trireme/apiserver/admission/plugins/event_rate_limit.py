"""EventRateLimit: so many events a second, of the server, a namespace, a user, or an object.

Off by default; needs a configuration. Events of the group events.k8s.io are not limited, as
upstream. https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from trireme.api.core.v1.event import Event
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import configuration, errors, field
from trireme.machinery.field import FieldError
from trireme.machinery.resource import Resource

_GROUP = "eventratelimit.admission.k8s.io"
_KEPT = 4096


class Limit(configuration.Configuration, frozen=True):
    type: str = ""
    qps: int = 0
    burst: int = 0
    cacheSize: int = 0


class _File(configuration.Configuration, frozen=True):
    limits: tuple[Limit, ...] = ()


def _source_and_object(attributes: Attributes) -> str:
    event: Event = attributes.new
    involved = event.involvedObject
    return "".join(
        (
            event.source.component,
            event.source.host,
            involved.kind,
            involved.namespace,
            involved.name,
            involved.uid,
            involved.apiVersion,
        )
    )


_KEYS: dict[str, Callable[[Attributes], str]] = {
    "Namespace": lambda attributes: attributes.namespace,
    "Server": lambda attributes: "",
    "SourceAndObject": _source_and_object,
    "User": lambda attributes: attributes.user.name,
}


def decode(data: bytes | None) -> tuple[Limit, ...]:
    """From a file of kind Configuration; one has to be given. ValueError."""
    limits: tuple[Limit, ...] = ()
    if data is not None:
        limits = configuration.decode(data, _GROUP, "Configuration", ("v1alpha1",), _File).limits
    errs = _errors(limits)
    if errs:
        raise ValueError(field.join(errs))
    return limits


def _errors(limits: tuple[Limit, ...]) -> list[FieldError]:
    at = field.path("limits")
    errs = [] if limits else [field.invalid(at, None, "must not be empty")]
    for position, limit in enumerate(limits):
        here = at.index(position)
        if limit.type not in _KEYS:
            errs.append(field.not_supported(here.child("type"), limit.type, sorted(_KEYS)))
        for name in ("burst", "qps"):
            if getattr(limit, name) <= 0:
                value = getattr(limit, name)
                errs.append(field.invalid(here.child(name), value, "must be positive"))
        if limit.cacheSize < 0 and limit.type != "Server":
            detail = "must not be negative"
            errs.append(field.invalid(here.child("cacheSize"), limit.cacheSize, detail))
    return errs


class Buckets:
    """One limit's token buckets, by key: those used last are kept."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._kept = limit.cacheSize or _KEPT
        # Tokens that are left, and when that was.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """Take a token at a time in seconds; False where there is none."""
        tokens, since = self._buckets.pop(key, (float(self.limit.burst), now))
        tokens = min(self.limit.burst, tokens + (now - since) * self.limit.qps)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        if len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        return taken


class EventRateLimit(PluginBase):
    name = "EventRateLimit"

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self._buckets = [Buckets(limit) for limit in limits]

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Event and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes, context: Context) -> None:
        if attributes.dry_run or attributes.endpoint.resource.group:
            return
        now = context.env.clock.monotonic()
        problems: list[str] = []
        for buckets in self._buckets:
            kind = buckets.limit.type
            key = _KEYS[kind](attributes)
            if not buckets.take(key, now):
                problems.append(f"limit reached on type {kind} for key {key}")
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise errors.too_many_requests(f"Too many requests: {text}")
