"""The service account ``default`` of every namespace.

In: namespaces and service accounts. Out: service accounts that are missing. Run by ``manager``.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/.
"""

from __future__ import annotations

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

DEFAULT = "default"


def make(context: ControllerContext) -> Controller:
    """Reconciles a namespace that is added or changes, and one whose account is deleted."""
    namespaces = context.informers.of(Namespace)
    accounts = context.informers.of(ServiceAccount)

    async def reconcile(key: Key) -> None:
        namespace = namespaces.get("", key.name)
        if namespace is None or namespace.status.phase != "Active":
            return
        if accounts.get(key.name, DEFAULT) is not None:
            return
        metadata = meta.ObjectMeta(name=DEFAULT, namespace=key.name)
        try:
            await context.client.create(ServiceAccount(metadata=metadata))
        except errors.ApiError as error:
            if not errors.is_already_exists(error) and not errors.is_namespace_terminating(error):
                raise

    gone = triggers.only(
        lambda event: event.type == DELETED and event.object.metadata.name == DEFAULT,
        lambda event: [Key("", event.key.namespace)],
    )
    return Controller(
        "serviceaccount",
        reconcile,
        context.env,
        triggers=[(namespaces, triggers.own()), (accounts, gone)],
    )


CONTROLLER = Definition("serviceaccount-controller", make, account="service-account-controller")
