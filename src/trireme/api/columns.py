"""Columns and cells that the tables of several kinds share.

In: metadata, containers, times as the wire has them, and the time now in epoch seconds. Out:
``Column`` values and cells. Called by: each kind's ``row``. Rules: upstream
pkg/printers/internalversion; https://kubernetes.io/docs/reference/kubectl/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from trireme.api.core.v1.pod.container import Container
from trireme.machinery import time
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Column

NAME: Final = Column("Name", format="name", description="What the object is called.")
AGE: Final = Column("Age", description="How long ago the object was created.")
CONTAINERS: Final = Column("Containers", priority=1, description="The template's container names.")
IMAGES: Final = Column("Images", priority=1, description="The images of the template's containers.")
# Those of what keeps a number of pods.
REPLICAS: Final = (
    NAME,
    Column("Desired", "integer", description="How many pods there should be."),
    Column("Current", "integer", description="How many pods there are."),
    Column("Ready", "integer", description="How many pods are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    Column("Selector", priority=1, description="The labels of its pods."),
)

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
UNSET: Final = "<unset>"


def age(meta: ObjectMeta, now: float) -> str:
    """The Age cell."""
    return since(meta.creationTimestamp, now)


def since(moment: str | None, now: float) -> str:
    """How long ago ``moment`` (a Time) was, for people; ``<unknown>`` when it is not set."""
    return time.human_duration(now - time.parse(moment)) if moment else UNKNOWN


def since_micro(moment: str | None, now: float) -> str:
    """As ``since``, of a MicroTime."""
    return time.human_duration(now - time.parse_micro(moment)) if moment else UNKNOWN


def containers(items: Sequence[Container]) -> tuple[str, str]:
    """The Containers and Images cells."""
    return ",".join(item.name for item in items), ",".join(item.image for item in items)


def few(items: Iterable[str], limit: int = 3) -> str:
    """The first ``limit`` items and how many more there are."""
    printed = list(items)
    text = ",".join(printed[:limit])
    return f"{text} + {len(printed) - limit} more..." if len(printed) > limit else text
