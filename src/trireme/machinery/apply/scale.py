"""managedFields between an object and its Scale: ``spec.replicas`` is one field with two names.

In: entries of one, and the object's path of replicas by version. Out: entries of the other. Called
by the scale subresource. Upstream: apimachinery ``managedfields/scalehandler.go``.
"""

from __future__ import annotations

from collections.abc import Mapping

from trireme.machinery.apply import fieldset, managed
from trireme.machinery.apply.fieldset import Path
from trireme.machinery.apply.managed import Owner, Owners
from trireme.machinery.apply.manager import Entries

SCALE_VERSION = "autoscaling/v1"
REPLICAS: Path = ("f:spec", "f:replicas")


def to_scale(entries: Entries, replicas: Mapping[str, Path]) -> Entries:
    """The Scale's entries: of those that own the replicas, just that."""
    owners: Owners = {}
    for key, owner in managed.decode(entries).items():
        path = replicas.get(owner.version)
        if path is not None and fieldset.has(owner.fields, path):
            owners[key] = owner.owning(fieldset.of(REPLICAS))._replace(version=SCALE_VERSION)
    return managed.encode(owners)


def to_object(
    stored: Entries, of_scale: Entries, version: str, replicas: Mapping[str, Path]
) -> Entries:
    """The object's entries after its Scale was written: who has lost the replicas, who has them
    now. ``version``: the object's own."""
    parents = managed.decode(stored)
    scales = managed.decode(of_scale)
    owners: Owners = {}
    for key, owner in parents.items():
        path = replicas.get(owner.version)
        if path is None:
            continue
        if not fieldset.has(owner.fields, path):
            owners[key] = owner
        elif key in scales:
            owners[key] = owner
            del scales[key]
        else:
            left = fieldset.difference(owner.fields, fieldset.of(path))
            if left:
                owners[key] = owner.owning(left)
    for key, owner in scales.items():
        if fieldset.has(owner.fields, REPLICAS):
            before = parents.get(key)
            time = before.time if before is not None else None
            owners[key] = Owner(fieldset.of(replicas[version]), version, owner.applied, time)
    return managed.encode(owners)
