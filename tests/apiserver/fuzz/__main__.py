"""``python -m tests.apiserver.fuzz COUNT [SEED]``: a long run, with its figures."""

from __future__ import annotations

import asyncio
import sys

from tests.apiserver.fuzz.run import run


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 100_000
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    report = asyncio.run(run(count, seed))
    print(f"{report.asked} requests in {report.seconds:.1f} s, seed {seed}")
    print("answers:", dict(sorted(report.answers.items())))
    print(f"slowest: {report.slowest[0] * 1000:.0f} ms: {report.slowest[1][:400]}")
    print(f"tasks left: {report.tasks}; watches after each round: {set(report.subscriptions)}")
    print("resident MiB after each round:", *(f"{at / 2**20:.1f}" for at in report.memory))
    for error in report.errors:
        print("\n" + error)
    return 1 if report.errors or report.leaks() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
