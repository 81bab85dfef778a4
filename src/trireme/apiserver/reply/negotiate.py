"""Which form of an answer the client accepts: plain, Table or PartialObjectMetadata; JSON or YAML.

In: the Accept header. Out: a ``Form``, or 406. Rules:
https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from trireme.machinery import errors

ACCEPTED = ("application/json", "application/yaml")
PLAIN, TABLE, METADATA, METADATA_LIST = (
    "",
    "Table",
    "PartialObjectMetadata",
    "PartialObjectMetadataList",
)


@dataclass(frozen=True, slots=True)
class Form:
    """``kind`` is PLAIN, TABLE, METADATA or METADATA_LIST; ``version`` of meta.k8s.io it is in."""

    media: str = "application/json"
    kind: str = PLAIN
    version: str = "v1"


DEFAULT = Form()


@lru_cache(maxsize=256)
def accept(header: str, *, convertible: bool = True) -> Form:
    """The first form in the header, by quality, that can be served.

    ``convertible`` False: for answers that have no Table and no metadata form (Status, discovery).
    """
    if not header or header == "application/json":
        return DEFAULT
    for media, parameters in _by_quality(header):
        wanted = parameters.get("as", PLAIN)
        if wanted:
            if not convertible or parameters.get("g") != "meta.k8s.io":
                continue
            if wanted not in (TABLE, METADATA, METADATA_LIST):
                continue
            if parameters.get("v") not in ("v1", "v1beta1"):
                continue
        chosen = _media(media)
        if chosen is not None:
            return Form(chosen, wanted, parameters.get("v", "v1"))
    raise errors.not_acceptable(ACCEPTED)


def _media(media: str) -> str | None:
    if media in ("*/*", "application/*", "application/json"):
        return "application/json"
    if media == "application/yaml":
        return media
    return None


def _by_quality(header: str) -> list[tuple[str, dict[str, str]]]:
    parsed = []
    for position, clause in enumerate(header.split(",")):
        media, *rest = [part.strip() for part in clause.split(";")]
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        parsed.append((-quality, position, media, parameters))
    parsed.sort(key=lambda item: item[:2])
    return [(media, parameters) for _, _, media, parameters in parsed]
