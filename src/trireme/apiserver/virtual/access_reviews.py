"""SubjectAccessReview, its local and its self form: may this user do that?

In: the question, about anybody (SubjectAccessReview), about anybody in one namespace (Local...) or
about oneself (Self...). Out: the same object with the authorizer's answer in ``status``.
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access.
"""

from __future__ import annotations

from typing import Any

from trireme.api.authorization.v1.attributes import (
    FieldSelectorAttributes,
    LabelSelectorAttributes,
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
)
from trireme.api.authorization.v1.localsubjectaccessreview import LocalSubjectAccessReview
from trireme.api.authorization.v1.selfsubjectaccessreview import SelfSubjectAccessReview
from trireme.api.authorization.v1.subjectaccessreview import SubjectAccessReview
from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.apiserver.virtual import admitted
from trireme.machinery import errors, field, fields, labels
from trireme.machinery.field import FieldError
from trireme.machinery.meta import FieldSelectorRequirement, ObjectMeta

_SPEC = field.path("spec")
_IGNORED = "spec.resourceAttributes.{} ignored due to parse error"
_PARTLY_IGNORED = "spec.resourceAttributes.{} partially ignored due to parse error"


async def of_subject(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """About the user and groups in the spec."""
    review: SubjectAccessReview = await admitted.read(context, request, endpoint)
    _refuse(endpoint, _subject_errors(review.spec) + _metadata_errors(review.metadata))
    return await _answer(context, request, review, _user(review.spec))


async def of_local_subject(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """The same, for what is in the request's namespace."""
    review: LocalSubjectAccessReview = await admitted.read(context, request, endpoint)
    namespace = request.info.namespace
    if not namespace:
        raise errors.bad_request("namespace is required on this type: ")
    review.metadata.namespace = review.metadata.namespace or namespace
    if review.metadata.namespace != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    problems = _subject_errors(review.spec) + _metadata_errors(review.metadata, local=True)
    about = review.spec.resourceAttributes
    if about is not None and about.namespace != namespace:
        at = field.path("spec.resourceAttributes.namespace")
        problems.append(field.invalid(at, about.namespace, "must match metadata.namespace"))
    if review.spec.nonResourceAttributes is not None:
        at = field.path("spec.nonResourceAttributes")
        what = review.spec.nonResourceAttributes
        problems.append(field.invalid(at, what, "disallowed on this kind of request"))
    _refuse(endpoint, problems)
    return await _answer(context, request, review, _user(review.spec))


async def of_self(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """About who asks."""
    review: SelfSubjectAccessReview = await admitted.read(context, request, endpoint)
    _refuse(endpoint, _spec_errors(review.spec) + _metadata_errors(review.metadata))
    return await _answer(context, request, review, request.user or ANONYMOUS)


async def _answer(context: ServerContext, request: Request, review: Any, user: User) -> Reply:
    problems: list[str] = []
    question = _question(review.spec, user, problems)
    decision = await context.authorizer.ask(question)
    if decision.error:
        problems.append(decision.error)
    review.status = SubjectAccessReviewStatus(
        allowed=decision.allowed,
        denied=decision.denied,
        reason=decision.reason,
        evaluationError="; ".join(problems),
    )
    return form.unstored(request, review)


def _user(spec: SubjectAccessReviewSpec) -> User:
    extra = {key: tuple(values) for key, values in spec.extra.items()}
    return User(spec.user, spec.uid, tuple(spec.groups), extra)


def _question(spec: Any, user: User, problems: list[str]) -> Attributes:
    """What the authorizer is asked. Selectors that cannot be read make the question broader."""
    about: ResourceAttributes | None = spec.resourceAttributes
    if about is None:
        path: NonResourceAttributes = spec.nonResourceAttributes
        return Attributes(user=user, verb=path.verb, path=path.path)
    return Attributes(
        user=user,
        verb=about.verb,
        group=about.group,
        version=about.version or "*",
        resource=about.resource,
        subresource=about.subresource,
        namespace=about.namespace,
        name=about.name,
        field_selector=_field_selector(about.fieldSelector, problems),
        label_selector=_label_selector(about.labelSelector, problems),
    )


def _field_selector(selector: FieldSelectorAttributes | None, problems: list[str]) -> str:
    if selector is None:
        return ""
    if selector.rawSelector:
        try:
            return str(fields.parse(selector.rawSelector))
        except ValueError:
            problems.append(_IGNORED.format("fieldSelector"))
            return ""
    known = [item for item in selector.requirements if _is_plain(item)]
    if len(known) < len(selector.requirements):
        problems.append((_PARTLY_IGNORED if known else _IGNORED).format("fieldSelector"))
    operators = {"In": "=", "NotIn": "!="}
    return ",".join(
        f"{item.key}{operators[item.operator]}{fields.escape(item.values[0])}" for item in known
    )


def _is_plain(requirement: FieldSelectorRequirement) -> bool:
    return requirement.operator in ("In", "NotIn") and len(requirement.values) == 1


def _label_selector(selector: LabelSelectorAttributes | None, problems: list[str]) -> str:
    """As text; no authorizer looks at it yet, but what cannot be read is said."""
    if selector is None:
        return ""
    if selector.rawSelector:
        try:
            return str(labels.parse(selector.rawSelector))
        except ValueError:
            problems.append(_IGNORED.format("labelSelector"))
            return ""
    known = [
        item
        for item in selector.requirements
        if item.operator in ("In", "NotIn", "Exists", "DoesNotExist")
    ]
    if len(known) < len(selector.requirements):
        problems.append((_PARTLY_IGNORED if known else _IGNORED).format("labelSelector"))
    forms = {
        "In": "{0} in ({1})",
        "NotIn": "{0} notin ({1})",
        "Exists": "{0}",
        "DoesNotExist": "!{0}",
    }
    return ",".join(forms[item.operator].format(item.key, ",".join(item.values)) for item in known)


def _refuse(endpoint: Endpoint, problems: list[FieldError]) -> None:
    if problems:
        # Upstream's decoded object does not know its kind any more.
        raise errors.invalid(f".{endpoint.resource.group}", "", problems)


def _subject_errors(spec: SubjectAccessReviewSpec) -> list[FieldError]:
    problems = _spec_errors(spec, selectors=False)
    if not spec.user and not spec.groups:
        detail = "at least one of user or group must be specified"
        problems.append(field.invalid(_SPEC.child("user"), spec.user, detail))
    return problems + _selector_errors(spec.resourceAttributes)


def _spec_errors(spec: Any, *, selectors: bool = True) -> list[FieldError]:
    problems: list[FieldError] = []
    resource, path = spec.resourceAttributes, spec.nonResourceAttributes
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        problems.append(field.invalid(_SPEC.child("nonResourceAttributes"), path, detail))
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        problems.append(field.invalid(_SPEC.child("resourceAttributes"), None, detail))
    return problems + (_selector_errors(resource) if selectors else [])


def _metadata_errors(meta: ObjectMeta, *, local: bool = False) -> list[FieldError]:
    empty = ObjectMeta(namespace=meta.namespace if local else "", managedFields=meta.managedFields)
    if meta == empty:
        return []
    detail = "must be empty except for namespace" if local else "must be empty"
    return [field.invalid(field.path("metadata"), meta, detail)]


def _selector_errors(about: ResourceAttributes | None) -> list[FieldError]:
    problems: list[FieldError] = []
    if about is None:
        return problems
    for name in ("fieldSelector", "labelSelector"):
        selector = getattr(about, name)
        if selector is None:
            continue
        at = field.path("spec.resourceAttributes", name)
        if selector.rawSelector and selector.requirements:
            detail = "may not specified at the same time as requirements"
            problems.append(field.invalid(at.child("rawSelector"), selector.rawSelector, detail))
        if not selector.rawSelector and not selector.requirements:
            detail = f"when {at} is specified, requirements or rawSelector is required"
            problems.append(field.required(at.child("requirements"), detail))
        for position, item in enumerate(selector.requirements):
            problems += _requirement_errors(item, at.child("requirements").index(position))
    return problems


def _requirement_errors(item: Any, at: field.Path) -> list[FieldError]:
    """Unknown operators pass: a newer client may know more of them."""
    problems: list[FieldError] = []
    if not item.key:
        problems.append(field.required(at.child("key"), "must be specified"))
    values = at.child("values")
    if item.operator in ("In", "NotIn") and not item.values:
        detail = "must be specified when `operator` is 'In' or 'NotIn'"
        problems.append(field.required(values, detail))
    if item.operator in ("Exists", "DoesNotExist") and item.values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        problems.append(field.forbidden(values, detail))
    return problems


SUBJECT = KindHandler(SubjectAccessReview, of_subject)
LOCAL = KindHandler(LocalSubjectAccessReview, of_local_subject)
SELF = KindHandler(SelfSubjectAccessReview, of_self)
