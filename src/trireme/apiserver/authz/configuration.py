"""AuthorizationConfiguration: its rules, and what its match conditions compile to.

In: a file's content, or what the flags say. Out: the configuration, field errors, and for each
webhook its settings. Called by ``union`` and by the composition root. Pure. Upstream: apiserver
``pkg/apis/apiserver/validation``, ``pkg/authorization/cel``;
https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from trireme.apiserver.settings.authorization import (
    MODES,
    WEBHOOK,
    AuthorizationConfiguration,
    AuthorizerConfiguration,
    WebhookConfiguration,
    WebhookMatchCondition,
)
from trireme.expr import cel
from trireme.expr.cel import types as t
from trireme.machinery import configuration, field, names, time
from trireme.machinery.field import FieldError, Path

GROUP: Final = "apiserver.config.k8s.io"
VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")
MOST_CONDITIONS: Final = 64
LONGEST: Final = 30.0
_FILE, _IN_CLUSTER = "KubeConfigFile", "InClusterConfig"


@dataclass(frozen=True)
class Webhook:
    """A webhook's settings; times in seconds, a ``ttl`` of 0 keeps nothing."""

    name: str
    kubeconfig: str
    version: str
    timeout: float
    authorized_ttl: float
    unauthorized_ttl: float
    denies_on_failure: bool
    conditions: tuple[cel.Program, ...] = ()


def decode(data: bytes) -> AuthorizationConfiguration:
    """A file's content. ValueError; it is not validated here."""
    kind = "AuthorizationConfiguration"
    return configuration.decode(data, GROUP, kind, VERSIONS, AuthorizationConfiguration)


def compiled(
    config: AuthorizationConfiguration, required: Collection[str] = ()
) -> tuple[str | Webhook, ...]:
    """The authorizers in order: the name of a mode, or a webhook. ValueError with all that is
    wrong. ``required``: modes that have to be among them."""
    errs: list[FieldError] = []
    at = field.path("authorizers")
    if not config.authorizers:
        errs.append(field.required(at, "at least one authorization mode must be defined"))
    found = _authorizers(errs, config.authorizers, at)
    if errs:
        raise ValueError(field.join(errs))
    problems = [
        f"expected name {item.type.lower()} for authorizer {item.type} instead of {item.name}"
        for item in config.authorizers
        if item.type != WEBHOOK and item.name != item.type.lower()
    ]
    missing = sorted(set(required) - {item.type for item in config.authorizers})
    if missing:
        problems.append(f"missing required types: [{' '.join(missing)}]")
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return found


def _authorizers(
    errs: list[FieldError], items: Iterable[AuthorizerConfiguration], at: Path
) -> tuple[str | Webhook, ...]:
    found: list[str | Webhook] = []
    types: set[str] = set()
    taken: set[str] = set()
    for index, item in enumerate(items):
        here = at.index(index)
        if not item.type:
            errs.append(field.required(here.child("type")))
            continue
        if item.type not in MODES:
            errs.append(field.not_supported(here.child("type"), item.type, MODES))
            continue
        if item.type in types and item.type != WEBHOOK:
            errs.append(field.duplicate(here.child("type"), item.type))
            continue
        types.add(item.type)
        _check_name(errs, item.name, here.child("name"), taken)
        if item.type != WEBHOOK:
            found.append(item.type)
            if item.webhook is not None:
                detail = "may only be specified when type=Webhook"
                errs.append(field.invalid(here.child("webhook"), "non-null", detail))
        elif item.webhook is None:
            errs.append(field.required(here.child("webhook"), "required when type=Webhook"))
        else:
            found.append(_webhook(errs, item.name, item.webhook, here))
    return tuple(found)


def _check_name(errs: list[FieldError], name: str, at: Path, taken: set[str]) -> None:
    if not name:
        errs.append(field.required(at))
    elif name in taken:
        errs.append(field.duplicate(at, name))
    elif problems := names.is_dns1123_subdomain(name):
        detail = f"authorizer name is invalid: {', '.join(problems)}"
        errs.append(field.invalid(at, name, detail))
    taken.add(name)


def _webhook(errs: list[FieldError], name: str, config: WebhookConfiguration, at: Path) -> Webhook:
    timeout = _duration(errs, config.timeout, at.child("timeout"), LONGEST)
    authorized = _duration(errs, config.authorizedTTL, at.child("authorizedTTL"))
    unauthorized = _duration(errs, config.unauthorizedTTL, at.child("unauthorizedTTL"))
    _one_of(
        errs,
        config.subjectAccessReviewVersion,
        at.child("subjectAccessReviewVersion"),
        ("v1", "v1beta1"),
    )
    where = at.child("matchConditionSubjectAccessReviewVersion")
    version = config.matchConditionSubjectAccessReviewVersion
    if version:
        _one_of(errs, version, where, ("v1",))
    elif config.matchConditions:
        errs.append(field.required(where, "required if match conditions are specified"))
    _one_of(errs, config.failurePolicy, at.child("failurePolicy"), ("NoOpinion", "Deny"))
    info, here = config.connectionInfo, at.child("connectionInfo")
    file = info.kubeConfigFile or ""
    if info.type == _FILE:
        if not file:
            errs.append(field.required(here.child("kubeConfigFile")))
        elif not file.startswith("/"):
            where = here.child("kubeConfigFile")
            errs.append(field.invalid(where, file, "must be an absolute path"))
    elif info.type == _IN_CLUSTER:
        # It would be this API server that it asks.
        errs.append(field.not_supported(here.child("type"), info.type, (_FILE,)))
    else:
        _one_of(errs, info.type, here.child("type"), (_IN_CLUSTER, _FILE))
    return Webhook(
        name=name,
        kubeconfig=file,
        version=config.subjectAccessReviewVersion,
        timeout=timeout,
        authorized_ttl=authorized if config.cacheAuthorizedRequests else 0.0,
        unauthorized_ttl=unauthorized if config.cacheUnauthorizedRequests else 0.0,
        denies_on_failure=config.failurePolicy == "Deny",
        conditions=_conditions(errs, config.matchConditions, at.child("matchConditions")),
    )


def _duration(errs: list[FieldError], text: str, at: Path, most: float | None = None) -> float:
    try:
        seconds = time.parse_duration(text)
    except ValueError as error:
        errs.append(field.invalid(at, text, str(error)))
        return 0.0
    if not seconds:
        errs.append(field.required(at))
    elif most is not None and not 0 < seconds <= most:
        errs.append(field.invalid(at, time.format_duration(seconds), "must be > 0s and <= 30s"))
    elif seconds < 0:
        errs.append(field.invalid(at, time.format_duration(seconds), "must be > 0s"))
    return seconds


def _one_of(errs: list[FieldError], value: str, at: Path, values: tuple[str, ...]) -> None:
    if not value:
        errs.append(field.required(at))
    elif value not in values:
        errs.append(field.not_supported(at, value, values))


def _conditions(
    errs: list[FieldError], conditions: tuple[WebhookMatchCondition, ...], at: Path
) -> tuple[cel.Program, ...]:
    if len(conditions) > MOST_CONDITIONS:
        errs.append(field.too_many(at, len(conditions), MOST_CONDITIONS))
        return ()
    observed: set[str] = set()
    found = []
    for index, condition in enumerate(conditions):
        here, text = at.index(index).child("expression"), condition.expression
        if not text.strip():
            errs.append(field.required(here))
            continue
        if text in observed:
            errs.append(field.duplicate(here, text))
            continue
        observed.add(text)
        try:
            program = _environment().compile(text)
        except cel.CelError as error:
            errs.append(field.invalid(here, text, f"compilation failed: {error}"))
            continue
        if t.same(program.type, t.BOOL):
            found.append(program)
        else:
            detail = f"must evaluate to bool but got {program.type}"
            errs.append(field.invalid(here, text, detail))
    return tuple(found)


@cache
def _environment() -> cel.Environment:
    texts = t.list_of(t.STRING)
    requirement = _struct(
        "SelectorRequirement", {"key": t.STRING, "operator": t.STRING, "values": texts}
    )
    selector = {"rawSelector": t.STRING, "requirements": t.list_of(requirement)}
    resource = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    spec = _struct(
        "SubjectAccessReviewSpec",
        {
            "resourceAttributes": _struct(
                "ResourceAttributes",
                {
                    **dict.fromkeys(resource, t.STRING),
                    "fieldSelector": _struct("FieldSelectorAttributes", selector),
                    "labelSelector": _struct("LabelSelectorAttributes", selector),
                },
            ),
            "nonResourceAttributes": _struct(
                "NonResourceAttributes", {"path": t.STRING, "verb": t.STRING}
            ),
            "user": t.STRING,
            "groups": texts,
            "extra": t.map_of(t.STRING, texts),
            "uid": t.STRING,
        },
    )
    return cel.Environment({"request": spec})


def _struct(name: str, members: Mapping[str, Any]) -> t.Type:
    fields = {key: t.Field(key, type_) for key, type_ in members.items()}
    return t.struct(f"kubernetes.{name}", fields)
