"""The file of --token-auth-file: ``token,user,uid,"group1,group2"`` in each line.

In: its text. Out: the users by their tokens. Pure. Upstream: apiserver
``authentication/token/tokenfile``. It is read once, at the start.
"""

from __future__ import annotations

import csv
import io

Tokens = dict[str, tuple[str, str, tuple[str, ...]]]


def parse(text: str) -> Tokens:
    """The tokens. ValueError; a line without a token is skipped."""
    tokens: Tokens = {}
    for number, row in enumerate(csv.reader(io.StringIO(text), strict=True), 1):
        if not row:
            continue
        if len(row) < 3:
            raise ValueError(
                "token file must have at least 3 columns (token, user name, user uid), found "
                f"{len(row)} in line {number}"
            )
        token, user, uid = row[:3]
        if not token:
            continue
        groups = row[3].split(",") if len(row) >= 4 and row[3] else []
        tokens[token] = user, uid, tuple(groups)
    return tokens
