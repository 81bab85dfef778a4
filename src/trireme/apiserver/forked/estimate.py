"""How long a request takes to answer, estimated from its sizes. Pure.

In: what the request carries, what it is about and which form its answer takes. Out: microseconds,
as measured on one core. To be wrong by half does no harm: a fork costs some 5 ms. Called by
``parent``. Upstream estimates the width of a request: apiserver ``util/flowcontrol/request``.
"""

from __future__ import annotations

from dataclasses import dataclass

# Nobody works longer than this on the event loop, in microseconds.
LIMIT = 20_000.0

# Microseconds for each kilobyte of a body that is read, by its media type.
_READ = {
    "application/json": 40.0,
    "application/yaml": 1_100.0,
    "application/apply-patch+yaml": 1_100.0,
    "application/vnd.kubernetes.protobuf": 200.0,
    "application/cbor": 200.0,
    "application/apply-patch+cbor": 200.0,
}
# For each kilobyte of an object that is written: defaults, validation, owners of fields, encoding.
_WRITE, _WRITE_CUSTOM = 100.0, 600.0

JSON, PRETTY, YAML, PROTOBUF, CBOR, TABLE, METADATA = (
    "json", "pretty", "yaml", "protobuf", "cbor", "table", "metadata",
)  # fmt: skip
# For each kilobyte of the objects that are answered, and for each object, by the answer's form.
# The plain JSON is there already.
_FORMS = {
    JSON: (0.0, 0.0),
    PRETTY: (3.0, 0.0),
    YAML: (1_500.0, 0.0),
    PROTOBUF: (45.0, 0.0),
    CBOR: (100.0, 0.0),
    TABLE: (10.0, 60.0),
    METADATA: (2.0, 5.0),
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is made of. Sizes are in bytes.

    ``body`` is what it carries; ``stored`` the object that it changes; ``answered`` are all objects
    of the answer and ``objects`` their number. ``custom``: of a kind that a definition defines.
    """

    media: str = "application/json"
    body: int = 0
    stored: int = 0
    custom: bool = False
    writes: bool = False
    form: str = JSON
    answered: int = 0
    objects: int = 0


def microseconds(work: Work) -> float:
    """How long the request takes."""
    read = _READ.get(work.media, _READ["application/json"])
    write = (_WRITE_CUSTOM if work.custom else _WRITE) if work.writes else 0.0
    size, each = _FORMS[work.form]
    kilobytes = work.body * (read + write) + work.stored * write + work.answered * size
    return kilobytes / 1024 + work.objects * each


def is_long(work: Work) -> bool:
    """Whether the request takes too long for the event loop."""
    return microseconds(work) > LIMIT
