"""Columns and cells that the tables of several kinds share.

In: objects, times as the wire has them, and the time now in epoch seconds. Out: ``Column`` values
and cells. Called by: the kinds' ``columns``. Rules: upstream pkg/printers/internalversion;
https://kubernetes.io/docs/reference/kubectl/.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from trireme.api.core.v1.pod.container import Container
from trireme.machinery import labels, time
from trireme.machinery.resource import Column, Timed

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
UNSET: Final = "<unset>"


def since(moment: str | None, now: float) -> str:
    """How long ago ``moment`` (a Time) was, for people; ``<unknown>`` when it is not set."""
    return time.human_duration(now - time.parse(moment)) if moment else UNKNOWN


def since_micro(moment: str | None, now: float) -> str:
    """As ``since``, of a MicroTime."""
    return time.human_duration(now - time.parse_micro(moment)) if moment else UNKNOWN


def ago(path: str, empty: str = UNKNOWN) -> Timed:
    """How long ago the Time at ``path`` was; ``empty`` when it is not set."""
    get = operator.attrgetter(path)

    def cell(obj: Any, now: float) -> str:
        moment = get(obj)
        return since(moment, now) if moment else empty

    return Timed(cell)


def few(items: Iterable[str], limit: int = 3) -> str:
    """The first ``limit`` items and how many more there are."""
    listed = list(items)
    text = ",".join(listed[:limit])
    return f"{text} + {len(listed) - limit} more..." if len(listed) > limit else text


def containers(
    get: Callable[[Any], Sequence[Container]], priority: int = 1
) -> tuple[Column, Column]:
    """The names and images of a template's containers."""
    return (
        Column(
            "Containers",
            lambda obj: ",".join(item.name for item in get(obj)),
            "The template's container names.",
            priority=priority,
        ),
        Column(
            "Images",
            lambda obj: ",".join(item.image for item in get(obj)),
            "The images of the template's containers.",
            priority=priority,
        ),
    )


def selector(format_: Callable[[Any], str], path: str = "spec.selector") -> Column:
    """The selector at ``path``, printed by ``format_``."""
    get = operator.attrgetter(path)
    return Column("Selector", lambda obj: format_(get(obj)), "The labels of its pods.", priority=1)


NAME: Final = Column("Name", "metadata.name", "What the object is called.", format="name")
AGE: Final = Column(
    "Age", ago("metadata.creationTimestamp"), "How long ago the object was created."
)
CONTAINERS: Final = containers(operator.attrgetter("spec.template.spec.containers"))
SELECTOR: Final = selector(labels.format_struct)
# Those of what keeps a number of pods.
REPLICAS: Final = (
    NAME,
    Column("Desired", "spec.replicas", "How many pods there should be.", type="integer", unset=0),
    Column("Current", "status.replicas", "How many pods there are.", type="integer"),
    Column("Ready", "status.readyReplicas", "How many pods are ready.", type="integer"),
    AGE,
)
