"""The loader and libraries of an ELF program.  Pure.

In: the bytes of a file.  Out: its loader and the libraries that it names.  Called by `check` and
`recipes`.  64-bit little-endian, which is all that images are made for.  elf(5).
"""

import struct
from collections.abc import Iterator

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5
_HEADER = 64


def is_program(content: bytes) -> bool:
    return len(content) >= _HEADER and content[:5] == b"\x7fELF\x02"


def loader(content: bytes) -> str:
    """The path of its interpreter; empty for a static program, which runs in an empty image."""
    for kind, offset, size, _ in _segments(content):
        if kind == _PT_INTERP:
            return content[offset : offset + size].rstrip(b"\0").decode("utf-8", "replace")
    return ""


def libraries(content: bytes) -> list[str]:
    """Names such as `libc.so.6`."""
    segments = list(_segments(content))
    dynamic = next((s for s in segments if s[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return []
    _, offset, size, _ = dynamic
    entries = list(struct.iter_unpack("<QQ", content[offset : offset + size - size % 16]))
    ends = next((i for i, (tag, _) in enumerate(entries) if tag == _DT_NULL), len(entries))
    address = next((value for tag, value in entries[:ends] if tag == _DT_STRTAB), 0)
    strings = next(
        (
            at + address - virtual
            for kind, at, length, virtual in segments
            if kind == _PT_LOAD and virtual <= address < virtual + length
        ),
        0,
    )
    names = (content[strings + value :] for tag, value in entries[:ends] if tag == _DT_NEEDED)
    return [name[: name.find(b"\0")].decode("utf-8", "replace") for name in names]


def _segments(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset and size in the file, virtual address."""
    if not is_program(content):
        return
    (offset,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for start in range(offset, offset + size * count, size or 1):
        if start + 56 > len(content):
            return
        kind, _, at, virtual, _, length = struct.unpack_from("<IIQQQQ", content, start)
        yield kind, at, length, virtual
