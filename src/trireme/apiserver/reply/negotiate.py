"""Which form of an answer the client accepts: its media type; plain, Table or metadata only.

In: the Accept header, and what can be served. Out: a ``Form``, or 406. Clauses are taken by
quality, then those without wildcards first; one that asks for what is not there is passed over.
Upstream: apiserver ``endpoints/handlers/negotiation``;
https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cmp_to_key, lru_cache

from trireme.apiserver.request import MEDIA, Request
from trireme.machinery import errors

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"
CBOR_SEQUENCE = "application/cbor-seq"

WITH_CBOR = (*MEDIA, CBOR)

PLAIN, TABLE, METADATA, METADATA_LIST = (
    "",
    "Table",
    "PartialObjectMetadata",
    "PartialObjectMetadataList",
)
_FORMS = (TABLE, METADATA, METADATA_LIST)
_VERSIONS = ("v1", "v1beta1")
# Programs behind which a person sits: they get indented JSON.
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Form:
    """``kind`` is PLAIN, TABLE, METADATA or METADATA_LIST; ``version`` of meta.k8s.io it is in."""

    media: str = JSON
    kind: str = PLAIN
    version: str = "v1"
    pretty: bool = False


DEFAULT = Form()


@dataclass(frozen=True, slots=True)
class Clause:
    """One media range of an Accept header."""

    type: str
    subtype: str
    quality: float
    parameters: dict[str, str]

    def covers(self, media: str) -> bool:
        type_, _, subtype = media.partition("/")
        if self.subtype == "*":
            return self.type in ("*", type_)
        return self.type == type_ and self.subtype == subtype


def of(
    request: Request, served: tuple[str, ...] | None = None, *, convertible: bool = True
) -> Form:
    """The form that a request's answer takes; ``served`` are the media types that it may have."""
    served = served or request.media
    header = request.headers.get("accept", "")
    if header in ("", JSON):
        form = DEFAULT
    else:
        collection = request.method == "GET" and not request.info.name
        form = accept(header, served, convertible=convertible, collection=collection)
    if form.media == JSON and not form.pretty and pretty(request):
        return replace(form, pretty=True)
    return form


def pretty(request: Request) -> bool:
    """Whether JSON is to be indented: as the query says, else for people."""
    asked = request.param("pretty")
    if asked:
        return asked in ("1", "t", "T", "true", "TRUE", "True")
    return request.headers.get("user-agent", "").startswith(_PEOPLE)


@lru_cache(maxsize=512)
def accept(
    header: str,
    served: tuple[str, ...] = MEDIA,
    *,
    convertible: bool = True,
    collection: bool = False,
) -> Form:
    """The first form in the header, by quality, that can be served.

    ``convertible`` False: for answers that have no Table and no metadata form (Status, discovery).
    ``collection``: of a path that also has streams.
    """
    if not header:
        return DEFAULT
    # A transformed object is one of meta.k8s.io, which has all media types.
    meta = WITH_CBOR if CBOR in served else MEDIA
    for clause in clauses(header):
        parameters = clause.parameters
        stream = parameters.get("stream", "")
        if stream not in ("", "watch") or parameters.get("sv", "") not in ("", "v1"):
            continue
        transformed = not parameters.keys().isdisjoint(("as", "g", "v"))
        for media in meta:
            if not clause.covers(media) or (stream and media == YAML):
                continue
            if not transformed:
                if media not in served:
                    continue
            elif not (convertible and _transforms(parameters, media)):
                continue
            return Form(
                media,
                parameters.get("as", PLAIN),
                parameters.get("v", "v1"),
                media == JSON and parameters.get("pretty") == "1",
            )
    if convertible and not any(item.covers(media) for item in clauses(header) for media in served):
        # Not even the path has such a form; one of a collection also has streams.
        streams = _streams(served) if collection else ()
        raise errors.not_acceptable_at_all((*served, *streams))
    raise errors.not_acceptable(served)


def stream(form: Form, served: tuple[str, ...] = MEDIA) -> str:
    """The content type of a watch in this form; 406 where it cannot be a stream."""
    if form.media == JSON:
        return JSON
    if form.media == CBOR:
        return CBOR_SEQUENCE
    if form.media == YAML:
        raise errors.not_acceptable(_streams(served))
    return f"{form.media};stream=watch"


def _streams(served: tuple[str, ...]) -> list[str]:
    return [
        CBOR_SEQUENCE if media == CBOR else f"{media};stream=watch"
        for media in served
        if media != YAML
    ]


def _transforms(parameters: dict[str, str], media: str) -> bool:
    if parameters.get("g") != "meta.k8s.io" or parameters.get("v") not in _VERSIONS:
        return False
    kind = parameters.get("as")
    return kind in _FORMS and (kind != TABLE or media in (JSON, YAML))


def clauses(header: str) -> list[Clause]:
    """The media ranges of an Accept header, the most preferred first."""
    found = [clause for part in header.split(",") if (clause := _clause(part.strip(" ")))]
    return sorted(found, key=cmp_to_key(_compare))


def _clause(part: str) -> Clause | None:
    media, *rest = part.split(";")
    type_, slash, subtype = media.partition("/")
    type_, subtype = type_.strip(" "), subtype.strip(" ")
    if not slash or not subtype:
        if type_ != "*":
            return None
        subtype = "*"
    if "/" in subtype:
        return None
    quality, parameters = 1.0, {}
    for item in rest:
        name, equals, value = item.partition("=")
        if not equals or not value or "=" in value:
            continue
        if name.strip(" ") == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
        else:
            parameters[name.strip(" ")] = value.strip(" ")
    return Clause(type_, subtype, quality, parameters)


def _compare(one: Clause, other: Clause) -> int:
    if one.quality != other.quality:
        return -1 if one.quality > other.quality else 1
    for name in ("type", "subtype"):
        wild, other_wild = getattr(one, name) == "*", getattr(other, name) == "*"
        if wild != other_wild:
            return 1 if wild else -1
    return 0
