"""TokenReview: who is it that sent me this token? Asked by kubelets and extension API servers.

In: a token and the audiences that the asker answers to. Out: the user, or the error, in ``status``.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication.
"""

from __future__ import annotations

from trireme.api.authentication.v1.tokenreview import TokenReview, TokenReviewStatus
from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.virtual import admitted, self_reviews
from trireme.machinery import errors


async def create(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """Authenticate the token as if it had come with a request."""
    review: TokenReview = await admitted.read(context, request, endpoint)
    if not review.spec.token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    authenticator = context.authenticator
    audiences = tuple(review.spec.audiences) or authenticator.keys.audiences
    review.status = TokenReviewStatus()
    try:
        identity = await authenticator.review(review.spec.token, audiences)
    except Rejected as problem:
        review.status.error = f"[invalid bearer token, {problem}]"
    else:
        if identity is None:
            review.status.error = "invalid bearer token"
        else:
            review.status.authenticated = True
            review.status.user = self_reviews.user_info(identity.user)
            review.status.audiences = list(identity.audiences)
    return form.unstored(request, review)


KIND = KindHandler(TokenReview, create)
