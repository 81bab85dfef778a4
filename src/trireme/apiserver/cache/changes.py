"""Has anything of some kinds been written since the last look? Asked often, answered at once.

In: the key prefixes of kinds. Out: yes or no, without waiting. Callers keep what they derived from
the store (the rules of every user, say) and derive it anew only after a yes. The answer rests on
the store's subscriptions, so writes of other API servers count as well.
"""

from __future__ import annotations

from trireme.store.contract import Store, Subscription


class Changes:
    """One listener per prefix. The first answer is yes; a yes is given once."""

    def __init__(self, store: Store, prefixes: list[str]) -> None:
        self._store = store
        self._prefixes = prefixes
        self._listening: list[Subscription] = []

    def any(self) -> bool:
        """Whether there was a write since ``any`` last said yes. StoreUnavailable."""
        for item in self._listening:
            if item.pending:
                break
        else:
            if self._listening:
                return False
        for old in self._listening:
            old.close()
        revision = self._store.revision
        self._listening = [
            self._store.watch(prefix, revision, buffer=1) for prefix in self._prefixes
        ]
        return True
