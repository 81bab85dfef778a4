"""Environment files, which a pod writes into an emptyDir for its other containers. Pure.

In: a file's bytes, a name. Out: the value. Called by env/compute. Rules: KEP-3721 (EnvFiles):
``NAME='value'``, always in single quotes, over several lines if need be; comments and blank lines.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_BYTES = 1 << 20  # of a file
MAX_LINE = (64 << 10) - 1  # as upstream
_SPACE = b" \t"


def value(data: bytes, name: str) -> str:
    """Of the first assignment to ``name``; empty when there is none.

    Raises ValueError for a file that is malformed up to there.
    """
    lines, key = _lines(data), name.encode()
    for number, line in lines:
        text = line.lstrip(_SPACE)
        if not text or text.startswith(b"#"):
            continue
        found, equals, rest = text.partition(b"=")
        if not equals:
            raise _Malformed(number, "missing '='")
        if not found.strip(_SPACE):
            raise _Malformed(number, "empty variable name")
        if found.rstrip(_SPACE) != found:
            raise _Malformed(number, "whitespace before '=' is not allowed")
        # Space after the sign makes it an assignment of nothing, as in a shell.
        assigned = b"" if rest[:1] in (b" ", b"\t") else _quoted(rest, number, lines)
        if found == key:
            return assigned.decode("utf-8", "surrogateescape")
    return ""


def _quoted(rest: bytes, number: int, lines: Iterator[tuple[int, bytes]]) -> bytes:
    if not rest.startswith(b"'"):
        raise _Malformed(number, "value must be enclosed in single quotes")
    rest, parts = rest[1:], []
    while b"'" not in rest:
        parts.append(rest)
        _, following = next(lines, (0, None))
        if following is None:
            raise _Malformed(number, "unclosed single quote")
        rest = following
    last, _, after = rest.partition(b"'")
    after = after.lstrip(_SPACE)
    if after and not after.startswith(b"#"):
        raise _Malformed(number, "unexpected content after closing quote")
    return b"\n".join([*parts, last])


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"environment variable file is larger than {MAX_BYTES} bytes")
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise _Malformed(number, "line too long")
        yield number, line.removesuffix(b"\r")


class _Malformed(ValueError):
    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"invalid environment variable format at line {number}: {problem}")
