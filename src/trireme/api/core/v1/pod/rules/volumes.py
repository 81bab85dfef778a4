"""The volumes of a pod.

In: ``volumes`` of a PodSpec. Out: errors on the list given, and the valid volumes by name in the
context. Called by: ``spec``. Sources that are not the cluster's own are in ``storage``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/storage/volumes/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from trireme.api import rules
from trireme.api.core.v1 import claim_rules
from trireme.api.core.v1.pod.rules import containers, env, paths, storage
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.sources import KeyToPath
from trireme.api.core.v1.pod.volumes import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from trireme.api.core.v1.volumesources import HostPathVolumeSource
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_TEN_MINUTES: Final = 600
_MAX_EXPIRATION: Final = 1 << 32
# Upstream's spelling where it differs from the field's.
_UPSTREAM_NAMES: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def volumes(errs: Errors, at: Path, items: Sequence[Volume], context: PodContext) -> None:
    """``volumes``; fills ``context.volumes``."""
    pod = context.pod_name
    created = {f"{pod}-{item.name}" for item in items if pod and item.ephemeral is not None}
    for position, item in enumerate(items):
        here = at.index(position)
        before = len(errs)
        _source(errs, here, item, context)
        rules.required_syntax(errs, here, "name", item.name, names.is_dns1123_label)
        if item.name in context.volumes:
            errs.append(field.duplicate(here.child("name"), item.name))
        if len(errs) == before:
            context.volumes[item.name] = item
        claim = item.persistentVolumeClaim
        if claim is not None and claim.claimName in created:
            where = here.child("persistentVolumeClaim", "claimName")
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errs.append(field.invalid(where, claim.claimName, detail))


def _source(errs: Errors, at: Path, volume: Volume, context: PodContext) -> None:
    count = 0
    for name, check in _SOURCES.items():
        source = getattr(volume, name)
        if source is None:
            continue
        count += 1
        if count > 1:
            where = at.child(_UPSTREAM_NAMES.get(name, name))
            errs.append(field.forbidden(where, "may not specify more than 1 volume type"))
        elif name == "image":
            _image(errs, at.child(name), source, context)
        elif name == "ephemeral":
            _ephemeral(errs, at, volume, source, context)
        else:
            check(errs, at.child(storage.PATHS.get(name, name)), source)
    if count == 0:
        errs.append(field.required(at, "must specify a volume type"))
    if volume.iscsi is not None and volume.iscsi.initiatorName is not None:
        storage.iscsi_name(errs, at, volume.name, volume.iscsi)


def _empty_dir(errs: Errors, at: Path, source: EmptyDirVolumeSource) -> None:
    if source.sizeLimit is not None and quantity.parse(source.sizeLimit).nanos < 0:
        detail = "SizeLimit field must be a valid resource quantity"
        errs.append(field.forbidden(at.child("sizeLimit"), detail))


def _host_path(errs: Errors, at: Path, source: HostPathVolumeSource) -> None:
    if not rules.required(errs, at, "path", source.path):
        return
    paths.no_backsteps(errs, at.child("path"), source.path)
    rules.declared(errs, at, source, "type")


def _secret(errs: Errors, at: Path, source: SecretVolumeSource) -> None:
    rules.required(errs, at, "secretName", source.secretName)
    paths.mode(errs, at, "defaultMode", source.defaultMode)
    _items(errs, at.child("items"), source.items)


def _config_map(errs: Errors, at: Path, source: ConfigMapVolumeSource) -> None:
    rules.required(errs, at, "name", source.name)
    paths.mode(errs, at, "defaultMode", source.defaultMode)
    _items(errs, at.child("items"), source.items)


def _items(errs: Errors, at: Path, items: Sequence[KeyToPath]) -> None:
    for position, item in enumerate(items):
        here = at.index(position)
        rules.declared(errs, here, item)
        paths.not_reserved(errs, here.child("path"), item.path)
        paths.mode(errs, here, "mode", item.mode)


def _downward(errs: Errors, at: Path, source: DownwardAPIVolumeSource) -> None:
    paths.mode(errs, at, "defaultMode", source.defaultMode)
    for item in source.items:
        _downward_file(errs, at, item)


def _downward_file(errs: Errors, at: Path, item: DownwardAPIVolumeFile) -> None:
    """Upstream reports every file at the volume, without its position."""
    rules.required(errs, at, "path", item.path)
    paths.not_reserved(errs, at.child("path"), item.path)
    if item.fieldRef is not None:
        env.field_selector(errs, at.child("fieldRef"), item.fieldRef, env.VOLUME_FIELDS)
        if item.resourceFieldRef is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errs.append(field.invalid(at, "resource", detail))
    elif item.resourceFieldRef is not None:
        here = at.child("resourceFieldRef")
        env.resource_selector(errs, here, item.resourceFieldRef, in_volume=True)
    else:
        errs.append(field.required(at, "one of fieldRef and resourceFieldRef is required"))
    paths.mode(errs, at, "mode", item.mode)


def _projected(errs: Errors, at: Path, source: ProjectedVolumeSource) -> None:
    paths.mode(errs, at, "defaultMode", source.defaultMode)
    taken: set[str] = set()
    for position, item in enumerate(source.sources):
        here = at.child("sources").index(position)
        count = _projection(errs, at, here, item, taken)
        if count > 1:
            detail = "may not specify more than 1 volume type per source"
            errs.append(field.forbidden(here, detail))


def _projection(
    errs: Errors, volume: Path, at: Path, item: VolumeProjection, taken: set[str]
) -> int:
    """One source; how many kinds it has. clusterTrustBundle and podCertificate are off in v1.36,
    and dropped before they get here."""
    count = 0
    for name in ("secret", "configMap"):
        source = getattr(item, name)
        if source is not None:
            count += 1
            here = at.child(name)
            rules.required(errs, here, "name", source.name)
            _items(errs, here.child("items"), source.items)
            for part in source.items:
                _distinct(errs, volume, part.path, source.name, taken)
    if item.downwardAPI is not None:
        count += 1
        for file in item.downwardAPI.items:
            _downward_file(errs, at.child("downwardAPI"), file)
            _distinct(errs, volume, file.path, file.path, taken)
    if item.serviceAccountToken is not None:
        count += 1
        _token(errs, volume, at.child("serviceAccountToken"), item.serviceAccountToken)
    return count


def _token(errs: Errors, volume: Path, at: Path, token: ServiceAccountTokenProjection) -> None:
    seconds = token.expirationSeconds or 0
    if seconds < _TEN_MINUTES:
        detail = "may not specify a duration less than 10 minutes"
        errs.append(field.invalid(at.child("expirationSeconds"), seconds, detail))
    if seconds > _MAX_EXPIRATION:
        detail = "may not specify a duration larger than 2^32 seconds"
        errs.append(field.invalid(at.child("expirationSeconds"), seconds, detail))
    if rules.required(errs, volume, "path", token.path):
        paths.not_reserved(errs, volume.child("path"), token.path)


def _distinct(errs: Errors, at: Path, path: str, bad_value: str, taken: set[str]) -> None:
    if path and path in taken:
        errs.append(field.invalid(at, bad_value, "conflicting duplicate paths"))
    taken.add(path)


def _ephemeral(errs: Errors, at: Path, volume: Volume, source: Any, context: PodContext) -> None:
    here = at.child("ephemeral").child("volumeClaimTemplate")
    if source.volumeClaimTemplate is None:
        errs.append(field.required(here))
    else:
        claim_rules.template(errs, here, source.volumeClaimTemplate)
    if context.pod_name and volume.name:
        claim = f"{context.pod_name}-{volume.name}"
        for message in names.is_dns1123_subdomain(claim):
            detail = f'PVC name "{claim}": {message}'
            errs.append(field.invalid(at.child("name"), volume.name, detail))


def _image(errs: Errors, at: Path, source: Any, context: PodContext) -> None:
    if context.is_pod:
        rules.required(errs, at, "reference", source.reference)
    containers.pull_policy(errs, at, "pullPolicy", source.pullPolicy)


def _elsewhere(errs: Errors, at: Path, source: Any) -> None:
    raise AssertionError("sources that need the whole volume are checked by it")


# In upstream's order: the second source of a volume is the one that is refused.
_SOURCES: Final[dict[str, Callable[[Errors, Path, Any], None]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": storage.git_repo,
    "gcePersistentDisk": storage.gce_disk,
    "awsElasticBlockStore": storage.aws_disk,
    "secret": _secret,
    "nfs": storage.nfs,
    "iscsi": storage.iscsi,
    "glusterfs": rules.declared,
    "flocker": storage.flocker,
    "persistentVolumeClaim": rules.declared,
    "rbd": rules.declared,
    "cinder": storage.cinder,
    "cephfs": rules.declared,
    "quobyte": storage.quobyte,
    "downwardAPI": _downward,
    "fc": storage.fibre_channel,
    "flexVolume": storage.flex,
    "configMap": _config_map,
    "azureFile": rules.declared,
    "vsphereVolume": rules.declared,
    "photonPersistentDisk": rules.declared,
    "portworxVolume": rules.declared,
    "azureDisk": storage.azure_disk,
    "storageos": storage.storageos,
    "projected": _projected,
    "scaleIO": storage.scale_io,
    "csi": storage.csi,
    "ephemeral": _elsewhere,
    "image": _elsewhere,
}
