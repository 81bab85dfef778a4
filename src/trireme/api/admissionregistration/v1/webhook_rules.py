"""Rules of webhook configurations, validating and mutating.

Called by: the two kinds. An update is only held to the rules that the old object satisfied.
Upstream: pkg/apis/admissionregistration/validation, pkg/registry/admissionregistration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from trireme.api import columns, rules, webhooks
from trireme.api.admissionregistration.v1 import condition_rules, match_rules
from trireme.api.admissionregistration.v1.mutatingwebhookconfiguration_types import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
)
from trireme.api.admissionregistration.v1.validatingwebhookconfiguration_types import (
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
)
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column

Webhook: TypeAlias = MutatingWebhook | ValidatingWebhook
Configuration: TypeAlias = MutatingWebhookConfiguration | ValidatingWebhookConfiguration

REVIEW_VERSIONS: Final = ("v1", "v1beta1")
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun", "Some", "Unknown")
_NO_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True)
class _Options:
    """What is required of webhooks; an update relaxes what the old object did not satisfy."""

    no_side_effects: bool = True
    known_review: bool = True
    unique_names: bool = True
    any_label_value: bool = False
    validate_conditions: bool = True


def defaults(obj: Configuration) -> None:
    """Selectors that are left out select everything."""
    for hook in obj.webhooks:
        if hook.namespaceSelector is None:
            hook.namespaceSelector = meta.LabelSelector()
        if hook.objectSelector is None:
            hook.objectSelector = meta.LabelSelector()


def changed(new: Configuration, old: Configuration) -> bool:
    """What the generation counts."""
    return bool(new.webhooks != old.webhooks)


def warnings(new: Configuration, _old: Configuration | None) -> list[str]:
    """Names reserved for static configuration files."""
    return match_rules.warn_static(new.metadata.name)


def validate(new: Configuration) -> Errors:
    """Every webhook."""
    return _all(new, _Options())


def validate_update(new: Configuration, old: Configuration) -> Errors:
    """As on create, except for what the old object already had."""
    was: Iterable[Webhook] = old.webhooks
    before = [hook.matchConditions for hook in was]
    hook_names = [hook.name for hook in was]
    options = _Options(
        no_side_effects=all(hook.sideEffects in _NO_SIDE_EFFECTS for hook in was),
        known_review=all(
            not hook.admissionReviewVersions
            or any(version in REVIEW_VERSIONS for version in hook.admissionReviewVersions)
            for hook in was
        ),
        unique_names=len(set(hook_names)) == len(hook_names),
        any_label_value=any(_selector_errors(hook) for hook in was),
        validate_conditions=before != [hook.matchConditions for hook in new.webhooks],
    )
    return _all(new, options)


def _selector_errors(hook: Webhook) -> Errors:
    errs: Errors = []
    rules.label_selector(errs, field.path(), hook.namespaceSelector)
    rules.label_selector(errs, field.path(), hook.objectSelector)
    return errs


def _all(obj: Configuration, options: _Options) -> Errors:
    errs: Errors = []
    used: set[str] = set()
    hooks: Iterable[Webhook] = obj.webhooks
    for position, hook in enumerate(hooks):
        at = field.path("webhooks").index(position)
        _webhook(errs, at, hook, options)
        _reviews(errs, at.child("admissionReviewVersions"), hook, options)
        if options.unique_names and hook.name in used:
            errs.append(field.duplicate(at.child("name"), hook.name))
        if hook.name:
            used.add(hook.name)
    return errs


def _webhook(errs: Errors, at: Path, hook: Webhook, options: _Options) -> None:
    rules.required_syntax(errs, at, "name", hook.name, names.is_fully_qualified_name)
    for position, item in enumerate(hook.rules):
        match_rules.rule(errs, at.child("rules").index(position), item)
    rules.declared(errs, at, hook, "failurePolicy", "matchPolicy")
    allowed = _NO_SIDE_EFFECTS if options.no_side_effects else _SIDE_EFFECTS
    if hook.sideEffects is None:
        detail = f"must specify one of {', '.join(allowed)}"
        errs.append(field.required(at.child("sideEffects"), detail))
    else:
        rules.one_of(errs, at, "sideEffects", hook.sideEffects, allowed)
    if hook.timeoutSeconds is not None and not 1 <= hook.timeoutSeconds <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        errs.append(field.invalid(at.child("timeoutSeconds"), hook.timeoutSeconds, detail))
    for name in ("namespaceSelector", "objectSelector"):
        found: Errors = []
        rules.label_selector(found, at.child(name), getattr(hook, name))
        # Only values may be wrong where they already were.
        errs += [e for e in found if not (options.any_label_value and ".values[" in e.field)]
    if isinstance(hook, MutatingWebhook):
        rules.declared(errs, at, hook, "reinvocationPolicy")
    config, where = hook.clientConfig, at.child("clientConfig")
    if (config.url is None) == (config.service is None):
        errs.append(field.required(where, "exactly one of url or service is required"))
    elif config.url is not None:
        webhooks.url(errs, config.url, where.child("url"))
    elif config.service is not None:
        webhooks.service(errs, config.service, where.child("service"))
    if options.validate_conditions:
        condition_rules.conditions(errs, at.child("matchConditions"), hook.matchConditions)


def _reviews(errs: Errors, at: Path, hook: Webhook, options: _Options) -> None:
    versions = hook.admissionReviewVersions
    if not versions:
        errs.append(field.required(at, f"must specify one of {', '.join(REVIEW_VERSIONS)}"))
        return
    used: set[str] = set()
    for position, version in enumerate(versions):
        here = at.index(position)
        if version in used:
            errs.append(field.invalid(here, version, "duplicate version"))
            continue
        used.add(version)
        rules.add(errs, here, version, names.is_dns1035_label(version))
    if options.known_review and not used.intersection(REVIEW_VERSIONS):
        detail = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        errs.append(field.invalid(at, versions, detail))


COLUMNS = (
    columns.NAME,
    Column(
        "Webhooks", lambda obj: len(obj.webhooks), "How many webhooks it registers.", type="integer"
    ),
    columns.AGE,
)
