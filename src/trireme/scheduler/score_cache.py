"""The results of local plugins for every node, kept for the next pod with the same signature.

In: columns and a pod (``PodInfo``). Out: for each row the weighted sum of scores, or minus infinity
where a filter refuses it. Only rows that a pod or node event has changed since are computed again:
this is what makes a decision cheap with thousands of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trireme.scheduler.framework import Floats, PodInfo
from trireme.scheduler.profile import Profile
from trireme.scheduler.snapshot.columns import Columns, View

# Of each signature 8 bytes for each node are kept.
CAPACITY = 128
# From this share of changed rows on, all are computed at once.
SHARE = 4


@dataclass
class CachedScores:
    """``scores`` are those of ``version`` of the columns."""

    scores: Floats
    version: int


class ScoreCache:
    """Scores under one profile, by signature; the least recently used are dropped."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._kept: dict[int, CachedScores] = {}

    def of(self, columns: Columns, pod_info: PodInfo) -> Floats:
        """The scores of all rows, -inf where refused. Not to be changed by the caller."""
        number = pod_info.signature.number
        kept = self._kept.pop(number, None)
        rows = None
        if kept is not None and len(kept.scores) == columns.size:
            rows = columns.touched(kept.version)
        if kept is None or rows is None or len(rows) * SHARE > columns.size:
            kept = CachedScores(scores(columns.whole(), pod_info, self.profile), columns.version)
        elif len(rows):
            kept.scores[rows] = scores(columns.at(rows), pod_info, self.profile)
            kept.version = columns.version
        if len(self._kept) >= CAPACITY:
            del self._kept[next(iter(self._kept))]
        self._kept[number] = kept
        return kept.scores


def scores(view: View, pod_info: PodInfo, profile: Profile) -> Floats:
    """The scores of the local plugins of a profile for the rows of a view."""
    refused = ~view.live
    for filter_ in profile.local_filters:
        for status in filter_(view, pod_info) or ():
            refused |= status.rows
    total = np.zeros(view.size, np.float64)
    for score_of, weight in profile.local_scores:
        score = score_of(view, pod_info, None)
        if score is not None:
            total += score if weight == 1 else weight * score
    total[refused] = -np.inf
    return total
