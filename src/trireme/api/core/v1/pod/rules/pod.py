"""Pods: what is validated when one is created, changed, given ephemeral containers, or resized.

In: defaulted and prepared Pods. Out: field errors, beyond those in the metadata that every kind
shares. Called by: the kind's ``RESOURCE``. Upstream: pkg/apis/core/validation.
"""

from __future__ import annotations

from typing import Final

from trireme.api import difference
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.rules import annotations as notes
from trireme.api.core.v1.pod.rules import containers, spec
from trireme.api.core.v1.pod.scheduling import Affinity, NodeAffinity, PodSchedulingGate
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.selection import NodeSelectorTerm, Toleration
from trireme.api.rules import Errors
from trireme.machinery import field

SPEC: Final = field.path("spec")
ANNOTATIONS: Final = field.path("metadata", "annotations")
_INT32_MAX: Final = 2**31 - 1
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_CHANGEABLE: Final = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def create(new: Pod) -> Errors:
    """A new pod."""
    errs: Errors = []
    whole(errs, new)
    if new.spec.ephemeralContainers:
        where = SPEC.child("ephemeralContainers")
        errs.append(field.forbidden(where, "cannot be set on create"))
    if new.spec.nodeName and new.spec.schedulingGates:
        detail = "cannot be set until all schedulingGates have been cleared"
        errs.append(field.forbidden(SPEC.child("nodeName"), detail))
    notes.agree(errs, SPEC, new.metadata.annotations, new.spec)
    return errs


def whole(errs: Errors, pod: Pod) -> None:
    """What holds for a pod at any time."""
    meta = pod.metadata
    notes.known(errs, ANNOTATIONS, meta.annotations, pod.spec)
    mirror = notes.MIRROR in meta.annotations
    spec.validate(errs, SPEC, pod.spec, is_pod=True, pod_name=meta.name, mirror=mirror)
    if not pod.spec.serviceAccountName:
        _no_tokens(errs, pod.spec)
    for kind in ("containers", "initContainers"):
        for position, container in enumerate(getattr(pod.spec, kind)):
            if container.image.strip() != container.image:
                containers.image_spaces(errs, SPEC.child(kind).index(position), container)


def update(new: Pod, old: Pod) -> Errors:
    """A change of the main resource: images, an earlier deadline, more tolerations, fewer gates."""
    errs: Errors = []
    whole(errs, new)
    meta = new.metadata
    notes.changed(errs, ANNOTATIONS, meta.annotations, old.metadata.annotations)
    if new.spec == old.spec:
        return errs
    for kind in ("containers", "initContainers"):
        if len(getattr(new.spec, kind)) != len(getattr(old.spec, kind)):
            detail = "pod updates may not add or remove containers"
            errs.append(field.forbidden(SPEC.child(kind), detail))
            return errs
    if not _deadline(errs, new.spec, old.spec):
        return errs
    _tolerations(errs, new.spec.tolerations, old.spec.tolerations)
    _gates(errs, new.spec.schedulingGates, old.spec.schedulingGates)
    allowed = _only_forbidden_changes(errs, new.spec, old.spec)
    if allowed != old.spec:
        changes = difference.text(old.spec, allowed)
        detail = f"pod updates may not change fields other than {_CHANGEABLE}\n{changes}"
        errs.append(field.forbidden(SPEC, detail))
    return errs


def ephemeral_containers(new: Pod, old: Pod) -> Errors:
    """Ephemeral containers are added, and then stay as they are."""
    errs: Errors = []
    if notes.MIRROR in old.metadata.annotations:
        detail = "static pods do not support ephemeral containers"
        return [field.forbidden(field.path("[]"), detail)]
    whole(errs, new)
    by_name = {container.name: container for container in new.spec.ephemeralContainers}
    where = SPEC.child("ephemeralContainers")
    for container in old.spec.ephemeralContainers:
        kept = by_name.get(container.name)
        named = f'existing ephemeral containers "{container.name}"'
        if kept is None:
            errs.append(field.forbidden(where, f"{named} may not be removed\n"))
        elif kept != container:
            changes = difference.text(container, kept)
            errs.append(field.forbidden(where, f"{named} may not be changed\n{changes}"))
    return errs


def _no_tokens(errs: Errors, value: PodSpec) -> None:
    for position, volume in enumerate(value.volumes):
        if volume.projected is None:
            continue
        for number, source in enumerate(volume.projected.sources):
            if source.serviceAccountToken is not None:
                where = SPEC.child("volumes").index(position).child("projected", "sources")
                where = where.index(number).child("serviceAccountToken")
                detail = "must not be specified when serviceAccountName is not set"
                errs.append(field.forbidden(where, detail))


def _deadline(errs: Errors, new: PodSpec, old: PodSpec) -> bool:
    """Whether anything else needs to be looked at."""
    where = SPEC.child("activeDeadlineSeconds")
    deadline, before = new.activeDeadlineSeconds, old.activeDeadlineSeconds
    if deadline is None:
        if before is not None:
            detail = "must not update from a positive integer to nil value"
            errs.append(field.invalid(where, None, detail))
        return True
    if not 0 <= deadline <= _INT32_MAX:
        detail = f"must be between 0 and {_INT32_MAX}, inclusive"
        errs.append(field.invalid(where, deadline, detail))
        return False
    if before is not None and before < deadline:
        detail = "must be less than or equal to previous value"
        errs.append(field.invalid(where, deadline, detail))
        return False
    return True


def _tolerations(errs: Errors, new: list[Toleration], old: list[Toleration]) -> None:
    def without_seconds(item: Toleration) -> tuple[str, str, str, str]:
        return item.key, item.operator, item.value, item.effect

    kept = {without_seconds(item) for item in new}
    if any(without_seconds(item) not in kept for item in old):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        errs.append(field.forbidden(SPEC.child("tolerations"), detail))


def _gates(errs: Errors, new: list[PodSchedulingGate], old: list[PodSchedulingGate]) -> None:
    before = {gate.name for gate in old}
    for position, gate in enumerate(new):
        if gate.name not in before:
            where = SPEC.child("schedulingGates").index(position).child("name")
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            errs.append(field.forbidden(where, detail))


def _only_forbidden_changes(errs: Errors, new: PodSpec, old: PodSpec) -> PodSpec:
    """Errors where ``new`` still differs after all mutable fields are reset."""
    changes: dict[str, object] = {
        "containers": _with_images(new.containers, old.containers),
        "initContainers": _with_images(new.initContainers, old.initContainers),
        "activeDeadlineSeconds": old.activeDeadlineSeconds,
        "schedulingGates": old.schedulingGates,
        "tolerations": old.tolerations,
    }
    before = old.terminationGracePeriodSeconds
    if before is not None and before < 0 and new.terminationGracePeriodSeconds == 1:
        changes["terminationGracePeriodSeconds"] = before
    if old.schedulingGates:
        _narrowed(errs, new, old)
        changes["nodeSelector"] = old.nodeSelector
        changes["affinity"] = _with_node_affinity(new.affinity, old.affinity)
    values = {name: getattr(new, name) for name in PodSpec.__struct_fields__}
    return PodSpec(**{**values, **changes})


def _with_images(new: list[Container], old: list[Container]) -> list[Container]:
    put_back = []
    for item, was in zip(new, old, strict=True):
        values = {name: getattr(item, name) for name in Container.__struct_fields__}
        put_back.append(Container(**{**values, "image": was.image}))
    return put_back


def _with_node_affinity(new: Affinity | None, old: Affinity | None) -> Affinity | None:
    node = old.nodeAffinity if old is not None else None
    if new is None:
        return Affinity(nodeAffinity=node) if node is not None else None
    if old is None and new.podAffinity is None and new.podAntiAffinity is None:
        return None
    return Affinity(
        nodeAffinity=node, podAffinity=new.podAffinity, podAntiAffinity=new.podAntiAffinity
    )


def _narrowed(errs: Errors, new: PodSpec, old: PodSpec) -> None:
    """While a pod is gated, its node selection may become narrower."""
    if any(new.nodeSelector.get(key) != value for key, value in old.nodeSelector.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errs.append(field.invalid(SPEC.child("nodeSelector"), new.nodeSelector, detail))
    before = _terms(old.affinity.nodeAffinity if old.affinity is not None else None)
    after = _terms(new.affinity.nodeAffinity if new.affinity is not None else None)
    where = SPEC.child("affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    if not before:
        return
    if len(before) != len(after):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errs.append(field.invalid(where, after or None, detail))
        return
    for position, (term, was) in enumerate(zip(after, before, strict=True)):
        if not _only_added(term, was):
            detail = "only additions are allowed (no mutations or deletions)"
            errs.append(field.invalid(where.index(position), term, detail))


def _terms(affinity: NodeAffinity | None) -> list[NodeSelectorTerm]:
    if affinity is None or affinity.requiredDuringSchedulingIgnoredDuringExecution is None:
        return []
    return affinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms


def _only_added(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    if not old.matchExpressions and not old.matchFields:
        # An empty term matches no node; anything added would widen it.
        return not new.matchExpressions and not new.matchFields
    return all(
        getattr(new, name)[: len(getattr(old, name))] == getattr(old, name)
        for name in ("matchExpressions", "matchFields")
    )
