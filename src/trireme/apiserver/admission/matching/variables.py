"""What expressions may see of a write: the variables of match conditions and of policies.

Upstream: apiserver ``admission/plugin/cel`` activation.
"""

from __future__ import annotations

from typing import Any

from trireme.apiserver.admission.contract import Attributes, Context
from trireme.apiserver.admission.matching import request
from trireme.apiserver.admission.matching.matcher import namespace_of
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.authn.service_accounts import ALL_GROUP, USER_PREFIX
from trireme.apiserver.authz import contract as authorization
from trireme.apiserver.request import User
from trireme.expr.cel.library import authz
from trireme.machinery.codec import json


async def of(attributes: Attributes, context: Context, found: Version) -> dict[str, Any]:
    """``object``, ``oldObject``, ``request`` and ``authorizer`` of a write, as a version has them.

    Callers add ``namespaceObject``, ``params`` and ``variables``.
    """

    async def plain(obj: Any) -> Any:
        if obj is None:
            return None
        return json.plain(await attributes.objects.converted(obj, found))

    return {
        "object": await plain(attributes.new),
        "oldObject": await plain(attributes.old),
        "request": request.fields(attributes, found),
        **authorizers(attributes, context),
    }


def authorizers(attributes: Attributes, context: Context) -> dict[str, Any]:
    """``authorizer`` and ``authorizer.requestResource``, which ask on behalf of the user."""

    # Whoever evaluates waits for what webhooks answer (``authz.contract.answered``).
    session = context.authorizer.session()

    def decide(attributes: authz.Attributes) -> authz.Decision:
        user = attributes.user
        if not isinstance(user, User):
            user = _service_account(*user)
        decision = session.authorize(
            authorization.Attributes(
                user=user,
                verb=attributes.verb,
                group=attributes.group,
                version="*" if not attributes.path else "",
                resource=attributes.resource,
                subresource=attributes.subresource,
                namespace=attributes.namespace,
                name=attributes.name,
                path=attributes.path,
                field_selector=attributes.field_selector,
                label_selector=attributes.label_selector,
            )
        )
        return authz.Decision(decision.allowed, decision.reason)

    authorizer = authz.Authorizer(decide, attributes.user)
    resource = attributes.endpoint.resource
    check = authz.Attributes(
        attributes.user,
        group=resource.group,
        resource=resource.plural,
        subresource=attributes.subresource,
        namespace=namespace_of(attributes),
        name=attributes.name,
    )
    return {
        "authorizer": authorizer,
        "authorizer.requestResource": authz.resource_check(authorizer, check),
    }


def _service_account(namespace: str, name: str) -> User:
    groups = (ALL_GROUP, f"{ALL_GROUP}:{namespace}", "system:authenticated")
    return User(f"{USER_PREFIX}{namespace}:{name}", groups=groups)
