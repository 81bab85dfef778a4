"""How a definition's versions are converted: not at all, or by a webhook.

Upstream: validation.go validateCustomResourceConversion; apiserver/util/webhook.
"""

from __future__ import annotations

import base64
import re

from trireme.api import rules, webhooks
from trireme.api.apiextensions.v1.rules.options import REVIEW_VERSIONS, Options
from trireme.api.apiextensions.v1.types import (
    CustomResourceConversion,
    WebhookClientConfig,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----", re.DOTALL
)
BAD_AUTHORITY = "unable to load root certificates: unable to parse bytes as PEM block"


def validate(
    errs: Errors, conversion: CustomResourceConversion | None, options: Options, at: Path
) -> None:
    """Errors of ``spec.conversion``."""
    if conversion is None:
        return
    rules.declared(errs, at, conversion, "strategy")
    webhook = conversion.webhook
    config = None if webhook is None else webhook.clientConfig
    reviews = [] if webhook is None else webhook.conversionReviewVersions
    if conversion.strategy == "Webhook":
        where = at.child("webhookClientConfig")
        if config is None:
            errs.append(field.required(where, "required when strategy is set to Webhook"))
        else:
            _client(errs, config, options, where)
        _reviews(errs, reviews, options, at.child("conversionReviewVersions"))
        return
    detail = "should not be set when strategy is not set to Webhook"
    if config is not None:
        errs.append(field.forbidden(at.child("webhookClientConfig"), detail))
    if reviews:
        errs.append(field.forbidden(at.child("conversionReviewVersions"), detail))


def _client(errs: Errors, config: WebhookClientConfig, options: Options, at: Path) -> None:
    if (config.url is None) == (config.service is None):
        errs.append(field.required(at, "exactly one of url or service is required"))
    elif config.url is not None:
        webhooks.url(errs, config.url, at.child("url"))
    elif config.service is not None:
        webhooks.service(errs, config.service, at.child("service"))
    if config.caBundle and not options.any_authority and not is_authority(config.caBundle):
        encoded = base64.b64encode(config.caBundle).decode()
        errs.append(field.invalid(at.child("caBundle"), encoded, BAD_AUTHORITY))


def is_authority(bundle: bytes) -> bool:
    """Whether certificates can be read from the bundle; an empty one means the system's."""
    if not bundle:
        return True
    for found in _PEM.finditer(bundle):
        try:
            if base64.b64decode(found[1]):
                return True
        except ValueError:
            continue
    return False


def _reviews(errs: Errors, given: list[str], options: Options, at: Path) -> None:
    if not given:
        errs.append(field.required(at))
        return
    used: set[str] = set()
    for position, version in enumerate(given):
        here = at.index(position)
        if version in used:
            errs.append(field.invalid(here, version, "duplicate version"))
            continue
        used.add(version)
        for message in names.is_dns1035_label(version):
            errs.append(field.invalid(here, version, message))
    if options.review_version and not used & set(REVIEW_VERSIONS):
        detail = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        errs.append(field.invalid(at, given, detail))
