"""What is accepted here and acted on by nobody yet: its creation says so with a warning.

In: a new object of any kind. Out: warnings that name what will not be done. A row goes when what
acts on its kind comes; ``tests/apiserver/test_unimplemented.py`` holds the table against the code:
an actor that exists is in no row, and a kind that no code looks at is in one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from trireme.machinery.resource import Resource


class Row(NamedTuple):
    """What will not be done about objects of a kind.

    ``actors``: who does it in upstream: controllers by their service account, admission plugins.
    ``when``: which objects it is about, if not all; ``of`` says so in words. They are warned of
    when an update makes them so, too.
    """

    missing: str
    actors: tuple[str, ...] = ()
    of: str = ""
    when: Callable[[Any], bool] | None = None


def warnings(rows: Mapping[str, tuple[Row, ...]], of: Resource, new: Any, old: Any) -> list[str]:
    """The warnings of a creation (``old`` is None) or of an update."""
    return [
        f"Trireme does not act on {_plural(of)}{row.of} yet: {row.missing}"
        for row in rows.get(of.group_resource, ())
        if _is_new(row, new, old)
    ]


def _is_new(row: Row, new: Any, old: Any) -> bool:
    if row.when is None:
        return old is None
    return row.when(new) and (old is None or not row.when(old))


def _plural(of: Resource) -> str:
    """``NetworkPolicies``: the kind with the ending of its plural."""
    same = len(of.kind)
    while of.kind[:same].lower() != of.plural[:same]:
        same -= 1
    return of.kind[:same] + of.plural[same:]


def _is_signed_here(obj: Any) -> bool:
    """Other signers bring their own controllers."""
    return bool(obj.spec.signerName.startswith("kubernetes.io/"))


_DEVICES: Final = Row("no device will be allocated")
_GANGS: Final = Row("its Pods will be scheduled one by one")

ROWS: Final[Mapping[str, tuple[Row, ...]]] = {
    # Workloads.
    "podgroups.scheduling.k8s.io": (_GANGS,),
    "workloads.scheduling.k8s.io": (_GANGS,),
    # Storage.
    # Network.
    "networkpolicies.networking.k8s.io": (Row("no traffic will be refused by it"),),
    "ingresses.networking.k8s.io": (Row("no traffic will be routed by it"),),
    "ingressclasses.networking.k8s.io": (Row("no Ingress will be routed by it"),),
    # Admission and extension.
    "storageversions.internal.apiserver.k8s.io": (Row("it will not be kept up to date"),),
    "leasecandidates.coordination.k8s.io": (Row("no leader will be chosen"),),
    # Identity.
    "podcertificaterequests.certificates.k8s.io": (
        Row("it will not be signed", of=" for kubernetes.io signers", when=_is_signed_here),
    ),
    "clustertrustbundles.certificates.k8s.io": (Row("no Pod can mount it"),),
    "csidrivers.storage.k8s.io": (
        Row(
            "the limits of nodes stay as they were when it registered",
            of=" with nodeAllocatableUpdatePeriodSeconds",
            when=lambda obj: obj.spec.nodeAllocatableUpdatePeriodSeconds is not None,
        ),
    ),
    # Nodes and devices.
    "resourceclaims.resource.k8s.io": (_DEVICES,),
    "resourceclaimtemplates.resource.k8s.io": (_DEVICES,),
    "deviceclasses.resource.k8s.io": (_DEVICES,),
    "resourceslices.resource.k8s.io": (_DEVICES,),
}
