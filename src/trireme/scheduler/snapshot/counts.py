"""How many pods on each node match a question: kept up to date as pods come and go.

A question is asked by a plugin (``Columns.matching``) and remembered under its key; the least
recently asked ones are forgotten. So that a pod's coming costs little when there are hundreds of
questions, they lie in buckets: by namespace, and by one label that they demand exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trireme.api.core.v1.pod.pod import Pod
from trireme.machinery import labels

Ints = NDArray[np.int64]
Matches = Callable[[Pod], bool]
Bucket = tuple[str, tuple[str, str] | None]
ANY_NAMESPACE = ""
MOST_KEPT = 512


@dataclass
class Question:
    """``counts`` has one number for each row."""

    key: Hashable
    bucket: Bucket
    matches: Matches
    counts: Ints


class Counts:
    """The remembered questions."""

    def __init__(self) -> None:
        self._questions: dict[Hashable, Question] = {}
        self._buckets: dict[Bucket, dict[Hashable, Question]] = {}

    def find(self, key: Hashable) -> Ints | None:
        """The counts of a known question, which is now the most recently asked."""
        known = self._questions.pop(key, None)
        if known is None:
            return None
        self._questions[key] = known
        return known.counts

    def remember(self, question: Question) -> None:
        """Keep a question's counts up to date from now on."""
        if len(self._questions) >= MOST_KEPT:
            self._forget(next(iter(self._questions)))
        self._questions[question.key] = question
        self._buckets.setdefault(question.bucket, {})[question.key] = question

    def pod(self, pod: Pod, row: int, sign: int) -> None:
        """A pod has come to (+1) or gone from (-1) a row."""
        if not self._buckets:
            return
        for namespace in (ANY_NAMESPACE, pod.metadata.namespace):
            for pair in (None, *pod.metadata.labels.items()):
                for question in self._buckets.get((namespace, pair), {}).values():
                    if question.matches(pod):
                        question.counts[row] += sign

    def grow(self, longer: Callable[[Ints], Ints]) -> None:
        """All arrays get more rows."""
        for question in self._questions.values():
            question.counts = longer(question.counts)

    def _forget(self, key: Hashable) -> None:
        question = self._questions.pop(key)
        bucket = self._buckets[question.bucket]
        del bucket[key]
        if not bucket:
            del self._buckets[question.bucket]


def bucket(namespace: str, selector: labels.Selector) -> Bucket:
    """Where pods that ``selector`` can match are found."""
    for requirement in selector.requirements:
        value = selector.exact(requirement.key)
        if value is not None:
            return namespace, (requirement.key, value)
    return namespace, None
