"""Health checks and their pages. Pure.

In: checks by name, each a problem or "". Out: status and text, as kube-apiserver's and the other
components' pages have them. Used by ``server``. Upstream: apiserver/pkg/server/healthz.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

# "" while it is well, or what is wrong.
Check = Callable[[], str]


class Checks:
    """Checks of one page, in the order in which they came; there is always ``ping``."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {"ping": lambda: ""}

    def add(self, name: str, check: Check = lambda: "") -> None:
        """Add one, or replace it."""
        self._checks.pop("ping", None)
        self._checks[name] = check

    def results(self) -> dict[str, str]:
        """The problem of each check, "" for none."""
        return {name: check() for name, check in self._checks.items()}


def report(
    root: str, results: Mapping[str, str], excluded: Sequence[str], *, verbose: bool
) -> tuple[int, str]:
    """The page ``root``: ``ok``, or all checks, ``verbose`` or when one fails that is not
    ``excluded``. What is wrong is in the log, not on the page: it is for everybody."""
    lines, failed = [], False
    for name, problem in results.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif problem:
            failed = True
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    unknown = [name for name in excluded if name not in results]
    if unknown:
        listed = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    if failed:
        return 500, "\n".join([*lines, f"{root} check failed", ""])
    if verbose:
        return 200, "\n".join([*lines, f"{root} check passed", ""])
    return 200, "ok"
