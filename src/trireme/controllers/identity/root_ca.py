"""The ConfigMap ``kube-root-ca.crt`` of every namespace, with which pods verify the API server.

In: namespaces and ConfigMaps of that name. Out: the ConfigMaps, created and corrected. Run by
``manager``. Upstream: pkg/controller/certificates/rootcacertpublisher;
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/.
"""

from __future__ import annotations

import msgspec

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.namespace import Namespace
from trireme.controllers.definition import ControllerContext, Definition
from trireme.kit import metrics
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

CONFIG_MAP = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


def make(context: ControllerContext) -> Controller | None:
    """Reconciles new namespaces, and those whose ConfigMap changed."""
    if not context.settings.root_ca:
        return None
    namespaces = context.informers.of(Namespace)
    maps = context.informers.of(ConfigMap, field_selector=f"metadata.name={CONFIG_MAP}")

    registry, clock = context.env.metrics, context.env.clock
    total = metrics.counter(registry, "root_ca_cert_publisher_sync_total", "Looks", ["code"])
    duration = metrics.histogram(
        registry,
        "root_ca_cert_publisher_sync_duration_seconds",
        "How long a look took",
        metrics.exponential(0.001, 2, 15),
        ["code"],
    )

    async def reconcile(key: Key) -> None:
        began, code = clock.monotonic(), 500
        try:
            await publish(key)
            code = 200
        except errors.ApiError as error:
            code = error.code
            raise
        finally:
            total.labels(str(code)).inc()
            duration.labels(str(code)).observe(clock.monotonic() - began)

    async def publish(key: Key) -> None:
        namespace = namespaces.get("", key.name)
        if namespace is None or namespace.status.phase != "Active":
            return
        known = maps.get(key.name, CONFIG_MAP)
        desired = plan(known, key.name, context.settings.root_ca)
        if desired is None:
            return
        try:
            await (context.client.update(desired) if known else context.client.create(desired))
        except errors.ApiError as error:
            if not errors.is_already_exists(error) and not errors.is_namespace_terminating(error):
                raise

    theirs = triggers.mapped(lambda found: [Key("", found.metadata.namespace)])
    return Controller(
        "root_ca_cert_publisher",
        reconcile,
        context.env,
        triggers=[(namespaces, triggers.own()), (maps, theirs)],
    )


def plan(known: ConfigMap | None, namespace: str, root_ca: str) -> ConfigMap | None:
    """The ConfigMap to write; None when it is up to date."""
    data = {"ca.crt": root_ca}
    if known is None:
        metadata = meta.ObjectMeta(
            name=CONFIG_MAP, namespace=namespace, annotations={DESCRIPTION: _TEXT}
        )
        return ConfigMap(metadata=metadata, data=data)
    if known.data == data and known.metadata.annotations.get(DESCRIPTION):
        return None
    annotations = {**known.metadata.annotations, DESCRIPTION: _TEXT}
    metadata = msgspec.structs.replace(known.metadata, annotations=annotations)
    return msgspec.structs.replace(known, metadata=metadata, data=data)


CONTROLLER = Definition(
    "root-ca-certificate-publisher-controller", make, account="root-ca-cert-publisher"
)
