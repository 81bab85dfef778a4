"""Warnings for the client, as ``Warning`` headers (RFC 7234; KEP-1693)."""

from __future__ import annotations

from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request

# Upstream's budget for all warnings of one reply, and for one.
TOTAL_LIMIT = 4096
EACH_LIMIT = 256


def attach(request: Request, answer: AnyReply) -> None:
    """Add one header line per distinct warning, within the budget."""
    lines: list[str] = []
    room = TOTAL_LIMIT
    for text in dict.fromkeys(request.warnings):
        clean = "".join(character if character.isprintable() else " " for character in text)
        quoted = clean[:EACH_LIMIT].replace("\\", "\\\\").replace('"', '\\"')
        room -= len(quoted)
        if room < 0:
            break
        lines.append(f'299 - "{quoted}"')
    if lines:
        answer.headers["Warning"] = ", ".join(lines)
