"""Which ControllerRevision is that of a template, and which are no longer kept. Pure.

A revision holds a strategic merge patch that gives its owner the template back (``kubectl rollout
undo`` sends it). Two templates are the same when they are after defaulting, so that revisions which
an older version wrote in another form stay what they are. Called by ``revisions``. Upstream:
pkg/controller/history, getStatefulSetRevisions (StatefulSetSemanticRevisionComparison);
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import msgspec

from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.domain import owners, templates
from trireme.machinery.codec import json
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.schema import decode, normalise

# The label that has the hash, by kind of owner.
_HASH_LABELS = {
    "StatefulSet": "controller.kubernetes.io/hash",
    "DaemonSet": "controller-revision-hash",
}
_LONGEST_PREFIX = 223


class Keep(msgspec.Struct, frozen=True):
    """The revision is the present one as it is."""

    revision: ControllerRevision


class Renumber(msgspec.Struct, frozen=True):
    """An older revision is the present one again: it gets the highest number."""

    revision: ControllerRevision


class Create(msgspec.Struct, frozen=True):
    """There is no revision of the template."""

    revision: ControllerRevision


def choose(
    owner: Any, revisions: Sequence[ControllerRevision], collisions: int
) -> Keep | Renumber | Create:
    """What makes the owner's template the newest of ``revisions``, which are in order."""
    template = owner.spec.template
    data = data_of(template)
    number = revisions[-1].revision + 1 if revisions else 1
    same = [item for item in revisions if item.data == data]
    same = same or [item for item in revisions if template_of(item) == template]
    if not same:
        return Create(made(owner, data, number, collisions))
    found = same[-1]
    if found is revisions[-1]:
        return Keep(found)
    return Renumber(msgspec.structs.replace(found, revision=number))


def ordered(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Oldest first."""
    return sorted(
        revisions,
        key=lambda r: (r.revision, r.metadata.creationTimestamp or "", r.metadata.name),
    )


def made(owner: Any, data: dict[str, Any], number: int, collisions: int) -> ControllerRevision:
    """A new revision, as it is to be created."""
    value = templates.hash_of(owner.spec.template, collisions)
    labels = {**owner.spec.template.metadata.labels, _HASH_LABELS[owner.kind]: value}
    metadata = ObjectMeta(
        name=f"{owner.metadata.name[:_LONGEST_PREFIX]}-{value}",
        namespace=owner.metadata.namespace,
        labels=labels,
        annotations=dict(owner.metadata.annotations),
        ownerReferences=[owners.reference(owner)],
    )
    return ControllerRevision(metadata=metadata, data=data, revision=number)


def data_of(template: PodTemplateSpec) -> dict[str, Any]:
    """The patch that gives its owner this template."""
    plain: dict[str, Any] = json.to_plain(template)
    return {"spec": {"template": {**plain, "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec | None:
    """The template that a revision holds, with its defaults; None where it holds none."""
    data: Any = revision.data
    try:
        plain = {k: v for k, v in data["spec"]["template"].items() if k != "$patch"}
        template, _ = decode.decode(json.encode(plain), PodTemplateSpec, decode.IGNORE)
    except (AttributeError, LookupError, TypeError, ValueError, decode.DecodeError):
        return None
    normalise.normalise(template)
    pod_defaults.template(template)
    return template


def hash_of(revision: ControllerRevision) -> str:
    """The hash in its label, or its name where it has none."""
    labels = revision.metadata.labels
    found = (labels[key] for key in _HASH_LABELS.values() if key in labels)
    return next(found, revision.metadata.name)


def surplus(
    revisions: Sequence[ControllerRevision], live: Set[str], limit: int | None
) -> list[ControllerRevision]:
    """The revisions that are deleted: the oldest of those that are not ``live``, by name, so that
    ``limit`` of them are left. A negative limit keeps all."""
    limit = 10 if limit is None else limit
    old = [item for item in revisions if item.metadata.name not in live]
    return old[: len(old) - limit] if 0 <= limit < len(old) else []
