"""ServiceAccount: every pod runs as an account, holds its token and uses its pull secrets.

Mutates pods that are created: the account's name, a projected volume with token, CA and namespace,
the account's pull secrets. Validates that the account is there and, where the account asks for it,
that the pod uses only the account's secrets.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from trireme.api.core.v1.pod.container import Container, VolumeMount
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.sources import KeyToPath, ObjectFieldSelector
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.volumes import (
    ConfigMapProjection,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    ProjectedVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from trireme.api.core.v1.references import LocalObjectReference
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.domain import pod_references as references
from trireme.machinery import gotext
from trireme.machinery.resource import Resource

DEFAULT = "default"
VOLUME_PREFIX = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
# The default account of a new namespace comes a moment after it: tries, and seconds between them.
DEFAULT_TRIES = 10
DEFAULT_WAIT = 0.1
_TRUE = ("1", "t", "T", "TRUE", "true", "True")


class ServiceAccountPlugin(PluginBase):
    """For pods that are created, and the ephemeral containers that are added to them."""

    name = "ServiceAccount"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource.type is not Pod:
            return False
        if operation == "CREATE":
            return subresource == ""
        return operation == "UPDATE" and subresource == "ephemeralcontainers"

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        if attributes.operation != "CREATE":
            return None
        pod: Pod = attributes.new
        if references.is_mirror(pod):
            # A changed mirror would differ from its source, and the kubelet delete it.
            _check_mirror(attributes, pod)
            return None
        pod.spec.serviceAccountName = pod.spec.serviceAccountName or DEFAULT
        pod.spec.serviceAccount = pod.spec.serviceAccountName
        account = context.reader.get(
            ServiceAccount, attributes.namespace, pod.spec.serviceAccountName
        )
        if account is None:
            return _admit_later(attributes, context, pod)
        _apply_account(pod.spec, account, context)
        return None

    def validate(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        if attributes.operation == "CREATE" and references.is_mirror(pod):
            _check_mirror(attributes, pod)
            return
        if not pod.spec.serviceAccountName:
            where = f"{attributes.namespace}/{pod.metadata.name}"
            raise forbidden(attributes, f"no service account specified for pod {where}")
        account = context.reader.get(
            ServiceAccount, attributes.namespace, pod.spec.serviceAccountName
        )
        if account is None:
            raise _no_account(attributes, pod)
        if account.metadata.annotations.get(ENFORCE) not in _TRUE:
            return
        if attributes.operation == "CREATE":
            _check_secrets(attributes, pod.spec, account)
        else:
            mountable = {item.name for item in account.secrets}
            sort = "ephemeral container"
            _check_environments(attributes, sort, pod.spec.ephemeralContainers, mountable, account)


async def _admit_later(attributes: Attributes, context: Context, pod: Pod) -> None:
    """Another API server may just have created the account, and the default one comes soon."""
    name = pod.spec.serviceAccountName
    await context.reader.catch_up()
    for _ in range(DEFAULT_TRIES if name == DEFAULT else 1):
        if name == DEFAULT:
            await context.env.clock.sleep(DEFAULT_WAIT + context.env.rng.random() * DEFAULT_WAIT)
        account = context.reader.get(ServiceAccount, attributes.namespace, name)
        if account is not None:
            _apply_account(pod.spec, account, context)
            return
    raise _no_account(attributes, pod)


def _apply_account(spec: PodSpec, account: ServiceAccount, context: Context) -> None:
    """Give the pod the account's token and pull secrets."""
    automount = spec.automountServiceAccountToken
    if automount is None:
        automount = account.automountServiceAccountToken
    if automount is None or automount:
        _mount_token(spec, context)
    if not spec.imagePullSecrets:
        spec.imagePullSecrets = [
            LocalObjectReference(name=item.name) for item in account.imagePullSecrets
        ]


def _mount_token(spec: PodSpec, context: Context) -> None:
    """Mount the token in every container that has nothing else at its path."""
    known = next((item.name for item in spec.volumes if item.name.startswith(VOLUME_PREFIX)), "")
    name = known or VOLUME_PREFIX + context.env.suffix()
    mounted = False
    for container in (*spec.initContainers, *spec.containers):
        if any(mount.mountPath == MOUNT_PATH for mount in container.volumeMounts):
            continue
        mount = VolumeMount(name=name, readOnly=True, mountPath=MOUNT_PATH)
        container.volumeMounts = [*container.volumeMounts, mount]
        mounted = True
    if mounted and not known:
        spec.volumes = [*spec.volumes, Volume(name=name, projected=token_source())]


def token_source() -> ProjectedVolumeSource:
    """The volume that every pod has: token, the cluster's CA, and the namespace's name."""
    namespace = ObjectFieldSelector(apiVersion="v1", fieldPath="metadata.namespace")
    return ProjectedVolumeSource(
        defaultMode=0o644,
        sources=[
            VolumeProjection(
                serviceAccountToken=ServiceAccountTokenProjection(
                    expirationSeconds=TOKEN_SECONDS, path="token"
                )
            ),
            VolumeProjection(
                configMap=ConfigMapProjection(
                    name="kube-root-ca.crt", items=[KeyToPath(key="ca.crt", path="ca.crt")]
                )
            ),
            VolumeProjection(
                downwardAPI=DownwardAPIProjection(
                    items=[DownwardAPIVolumeFile(path="namespace", fieldRef=namespace)]
                )
            ),
        ],
    )


def _check_mirror(attributes: Attributes, pod: Pod) -> None:
    if pod.spec.serviceAccountName:
        raise forbidden(attributes, "a mirror pod may not reference service accounts")
    if references.secrets(pod):
        raise forbidden(attributes, "a mirror pod may not reference secrets")
    if references.token_audiences(pod):
        raise forbidden(
            attributes, "a mirror pod may not use ServiceAccountToken volume projections"
        )


def _check_secrets(attributes: Attributes, spec: PodSpec, account: ServiceAccount) -> None:
    mountable = {item.name for item in account.secrets}
    name = account.metadata.name
    for volume in spec.volumes:
        if volume.secret is not None and volume.secret.secretName not in mountable:
            raise forbidden(
                attributes,
                f'volume with secret.secretName="{volume.secret.secretName}" is not allowed '
                f"because service account {name} does not reference that secret",
            )
    init = "init container"
    _check_environments(attributes, init, spec.initContainers, mountable, account)
    _check_environments(attributes, "container", spec.containers, mountable, account)
    pulls = {item.name for item in account.imagePullSecrets}
    for position, item in enumerate(spec.imagePullSecrets):
        if item.name not in pulls:
            raise forbidden(
                attributes,
                f'imagePullSecrets[{position}].name="{item.name}" is not allowed because service '
                f"account {name} does not reference that imagePullSecret",
            )


def _check_environments(
    attributes: Attributes,
    sort: str,
    containers: Iterable[Container],
    mountable: set[str],
    account: ServiceAccount,
) -> None:
    for container in containers:
        named = [
            (f"envVar {variable.name}", variable.valueFrom.secretKeyRef.name)
            for variable in container.env
            if variable.valueFrom is not None and variable.valueFrom.secretKeyRef is not None
        ]
        named += [
            ("envFrom", source.secretRef.name)
            for source in container.envFrom
            if source.secretRef is not None
        ]
        for what, secret in named:
            if secret not in mountable:
                raise forbidden(
                    attributes,
                    f'{sort} {container.name} with {what} referencing secret.secretName="{secret}" '
                    f"is not allowed because service account {account.metadata.name} does not "
                    "reference that secret",
                )


def _no_account(attributes: Attributes, pod: Pod) -> Exception:
    name = pod.spec.serviceAccountName
    return forbidden(
        attributes,
        f"error looking up service account {attributes.namespace}/{name}: "
        f"serviceaccount {gotext.quote(name)} not found",
    )
