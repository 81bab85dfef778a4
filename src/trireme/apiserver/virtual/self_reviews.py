"""Who am I, and what may I do? SelfSubjectReview and SelfSubjectRulesReview.

In: nothing but who asks (and a namespace). Out: the user as the API server sees him, or the list of
the rules that hold for him; the list says when it is not complete.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review.
"""

from __future__ import annotations

from trireme.api.authentication.v1.selfsubjectreview import (
    SelfSubjectReview,
    SelfSubjectReviewStatus,
)
from trireme.api.authentication.v1.userinfo import UserInfo
from trireme.api.authorization.v1.selfsubjectrulesreview import (
    NonResourceRule,
    ResourceRule,
    SelfSubjectRulesReview,
    SubjectRulesReviewStatus,
)
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.apiserver.virtual import admitted
from trireme.machinery import errors, time
from trireme.machinery.meta import ObjectMeta


async def review(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """The user who asks, as authentication and impersonation made him."""
    await admitted.read(context, request, endpoint)
    return form.unstored(
        request,
        SelfSubjectReview(
            metadata=ObjectMeta(creationTimestamp=time.format(context.env.clock.now())),
            status=SelfSubjectReviewStatus(userInfo=user_info(request.user or ANONYMOUS)),
        ),
    )


async def rules(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """The rules that hold for who asks, in one namespace."""
    requested: SelfSubjectRulesReview = await admitted.read(context, request, endpoint)
    if not requested.spec.namespace:
        raise errors.bad_request("no namespace on request")
    user = request.user or ANONYMOUS
    found, problem = context.authorizer.rules(user, requested.spec.namespace)
    status = SubjectRulesReviewStatus(evaluationError=problem, incomplete=bool(problem))
    for rule in found:
        if rule.resources:
            status.resourceRules.append(
                ResourceRule(
                    verbs=rule.verbs,
                    apiGroups=rule.apiGroups,
                    resources=rule.resources,
                    resourceNames=rule.resourceNames,
                )
            )
        if rule.nonResourceURLs:
            status.nonResourceRules.append(
                NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
            )
    return form.unstored(request, SelfSubjectRulesReview(status=status))


def user_info(user: User) -> UserInfo:
    """A user in the form in which the API shows one."""
    return UserInfo(
        username=user.name,
        uid=user.uid,
        groups=list(user.groups),
        extra={key: list(values) for key, values in user.extra.items()},
    )


REVIEW = KindHandler(SelfSubjectReview, review)
RULES = KindHandler(SelfSubjectRulesReview, rules)
