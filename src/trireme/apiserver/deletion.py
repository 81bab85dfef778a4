"""What a DELETE does to an object: pure decisions about finalizers, grace and propagation.

Rules: upstream ``rest.BeforeDelete`` and ``deletionFinalizersForGarbageCollection``;
https://kubernetes.io/docs/concepts/architecture/garbage-collection/.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery import errors, field, time
from trireme.machinery.field import FieldError
from trireme.machinery.meta import DeleteOptions
from trireme.machinery.resource import Resource

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


def validate_options(options: DeleteOptions) -> list[FieldError]:
    """Errors of the options themselves."""
    problems = []
    policy = options.propagationPolicy
    if policy is not None and options.orphanDependents is not None:
        problems.append(
            field.invalid(
                field.path("propagationPolicy"),
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        problems.append(
            field.not_supported(
                field.path("propagationPolicy"),
                policy,
                ["Foreground", "Background", "Orphan", "nil"],
            )
        )
    if any(value != "All" for value in options.dryRun):
        problems.append(field.not_supported(field.path("dryRun"), options.dryRun, ["All"]))
    return problems


def check_preconditions(
    resource: Resource, name: str, old: Any, revision: int, options: DeleteOptions
) -> None:
    """409 when the object is not the one that the client means."""
    preconditions = options.preconditions
    if preconditions is None:
        return
    if preconditions.uid is not None and preconditions.uid != old.metadata.uid:
        message = f"Precondition failed: UID in precondition: {preconditions.uid}, "
        raise errors.conflict(
            resource.group_resource, name, message + f"UID in object meta: {old.metadata.uid}"
        )
    version = preconditions.resourceVersion
    if version is not None and version != str(revision):
        message = (
            f"Precondition failed: ResourceVersion in precondition: {version}, "
            f"ResourceVersion in object meta: {revision}"
        )
        raise errors.conflict(resource.group_resource, name, message)


def begin(resource: Resource, obj: Any, options: DeleteOptions, now: float) -> bool:
    """Mark ``obj`` as deleting where it has to stay; returns whether it stays."""
    meta = obj.metadata
    first = meta.deletionTimestamp is None
    if resource.collected and (first or meta.deletionGracePeriodSeconds):
        _set_finalizers(resource, meta, options)
    grace = 0
    if resource.grace is not None:
        grace = resource.grace(obj, options.gracePeriodSeconds)
    held = resource.held(obj)
    if not first:
        return _again(resource, meta, grace, options, now) or held
    if grace == 0 and not meta.finalizers and not held:
        return False
    meta.deletionTimestamp = time.format(now + grace)
    resource.begin_delete(obj)
    if not held:
        meta.deletionGracePeriodSeconds = grace
        if meta.generation > 0:
            meta.generation += 1
    return True


def is_over(resource: Resource, obj: Any) -> bool:
    """Whether an update leaves a deleting object with nothing to wait for."""
    meta = obj.metadata
    if meta.deletionTimestamp is None or meta.finalizers:
        return False
    if meta.deletionGracePeriodSeconds:
        return False
    return not resource.held(obj)


def _again(resource: Resource, meta: Any, grace: int, options: DeleteOptions, now: float) -> bool:
    """A second DELETE can only shorten the grace."""
    before = meta.deletionGracePeriodSeconds or 0
    if resource.grace is None:
        return bool(meta.finalizers)
    if options.gracePeriodSeconds is None or grace >= before:
        return bool(meta.finalizers) or before > 0
    if grace == 0:
        meta.deletionGracePeriodSeconds = 0
        meta.deletionTimestamp = time.format(now)
        return bool(meta.finalizers)
    began = time.parse(meta.deletionTimestamp) - before
    due = began + grace
    if due < now:
        grace, due = 1, now + 1
    meta.deletionTimestamp = time.format(due)
    meta.deletionGracePeriodSeconds = grace
    return True


def _set_finalizers(resource: Resource, meta: Any, options: DeleteOptions) -> None:
    orphan = ORPHAN in meta.finalizers
    foreground = FOREGROUND in meta.finalizers
    if options.orphanDependents is not None:
        orphan, foreground = options.orphanDependents, False
    elif options.propagationPolicy is not None:
        orphan = options.propagationPolicy == "Orphan"
        foreground = options.propagationPolicy == "Foreground"
    elif not orphan and not foreground and resource.default_orphan:
        orphan = True
    kept = [item for item in meta.finalizers if item not in (ORPHAN, FOREGROUND)]
    if orphan:
        kept.append(ORPHAN)
    if foreground:
        kept.append(FOREGROUND)
    if set(kept) != set(meta.finalizers):
        meta.finalizers = kept
