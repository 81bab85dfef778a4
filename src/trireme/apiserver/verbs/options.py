"""What query parameters say: list and watch options, write options, selectors.

In: a ``Request``. Out: checked values, or a 4xx ``ApiError``. Rules: meta/v1 ListOptions and
friends; https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from trireme.apiserver.cache.views import Selection
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.gates import Gates
from trireme.apiserver.request import Request
from trireme.machinery import errors, field, fields, gotext, labels
from trireme.machinery.apply import managed
from trireme.machinery.field import FieldError

# Python's own int would also take spaces, underlines and the digits of other scripts.
is_integer = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII).fullmatch
FIELD_VALIDATION = ("", "Ignore", "Strict", "Warn")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of list, watch and deletecollection, checked."""

    selection: Selection
    resource_version: int | None
    match: str
    limit: int
    start: str
    at: int | None
    timeout: float | None
    bookmarks: bool
    initial_events: bool | None


class _Token(msgspec.Struct):
    """The inside of a continue token, in upstream's form."""

    v: str = ""
    rv: int = 0
    start: str = ""


def list_options(request: Request, endpoint: Endpoint, *, watching: bool = False) -> ListOptions:
    """Parse and check; 400 or 422 as upstream gives them."""
    version = request.param("resourceVersion")
    match = request.param("resourceVersionMatch")
    token = request.param("continue")
    limit = _integer(request, "limit") or 0
    initial = request.flag("sendInitialEvents") if "sendInitialEvents" in request.query else None
    problems = _check(version, match, token, initial, watching)
    if problems:
        raise errors.invalid("ListOptions.meta.k8s.io", "", problems)
    if watching and initial is None and not match and version in ("", "0"):
        # The old way to say: what is there now, then the changes.
        initial = True
    start, at = _decode_token(token) if token and not watching else ("", None)
    if at is not None and version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    return ListOptions(
        selection=selection(request, endpoint),
        resource_version=_version(version),
        match=match,
        limit=limit,
        start=start,
        at=at,
        timeout=_seconds(request),
        bookmarks=request.flag("allowWatchBookmarks"),
        initial_events=initial,
    )


def refuse_shards(request: Request, gates: Gates) -> None:
    """400 for a selector of shards where its gate is on; upstream ignores it where it is off."""
    if request.param("shardSelector") and gates.on("ShardedListAndWatch"):
        raise errors.bad_request("shardSelector is not supported by this server")


def selection(request: Request, endpoint: Endpoint) -> Selection:
    """The label and field selectors of a request; a name in the path is a field selector too."""
    text = request.param("labelSelector")
    by_label = None
    if text:
        try:
            by_label = labels.parse(text)
        except ValueError as problem:
            raise errors.bad_request(str(problem)) from None
    requested = request.param("fieldSelector")
    by_field = None
    if requested:
        by_field = _field_selector(requested, endpoint)
    if request.info.name:
        named = fields.from_set({"metadata.name": request.info.name})
        if by_field is None:
            by_field = named
        elif by_field.empty() or by_field.exact("metadata.name") == request.info.name:
            by_field = fields.of([*by_field.requirements, *named.requirements])
        else:
            raise errors.bad_request("fieldSelector metadata.name doesn't match requested name")
    return Selection(
        None if by_label is None or by_label.empty() else by_label,
        None if by_field is None or by_field.empty() else by_field,
    )


def _field_selector(text: str, endpoint: Endpoint) -> fields.Selector:
    try:
        selector = fields.parse(text)
    except ValueError as problem:
        raise errors.bad_request(str(problem)) from None
    resource = endpoint.resource
    known = {"metadata.name", *resource.selectable}
    if resource.namespaced:
        known.add("metadata.namespace")
    for name in selector.fields():
        if name not in known:
            if resource.selectable:
                raise errors.bad_request(f"{resource.label_refusal}: {name}")
            raise errors.bad_request(
                f'{gotext.quote(name)} is not a known field selector: only "metadata.name", '
                '"metadata.namespace"'
            )
    labels_of = resource.stored_as.field_labels if resource.stored_as is not None else {}
    if not labels_of:
        return selector
    return selector.transform(lambda label, value: (labels_of.get(label, label), value))


def dry_run(request: Request) -> bool:
    """Whether the write is only to be tried; anything but "All" is an error."""
    values = [value for value in request.query.get("dryRun", []) if value]
    bad = [value for value in values if value != "All"]
    if bad:
        problem = field.not_supported(field.path("dryRun"), bad[0], ["All"])
        raise errors.invalid(f"{_options_kind(request)}.meta.k8s.io", "", [problem])
    return bool(values)


def field_validation(request: Request) -> str:
    """Ignore, Warn or Strict; the default is Warn."""
    requested = request.param("fieldValidation")
    if requested not in FIELD_VALIDATION:
        problem = field.not_supported(
            field.path("fieldValidation"), requested, ["", "Ignore", "Strict", "Warn"]
        )
        raise errors.invalid(f"{_options_kind(request)}.meta.k8s.io", "", [problem])
    return requested or "Warn"


def field_manager(request: Request, *, applying: bool = False) -> str:
    """Who comes to own what the request writes: what it says itself, or its User-Agent's name."""
    requested = request.param("fieldManager")
    force = bool(request.query.get("force"))
    if not requested and not applying and not force:
        return _agent(request.headers.get("user-agent", ""))
    problems: list[FieldError] = []
    at = field.path("fieldManager")
    if applying and not requested:
        problems.append(field.required(at, "is required for apply patch"))
    if force and not applying and request.method == "PATCH":
        detail = "may not be specified for non-apply patch"
        problems.append(field.forbidden(field.path("force"), detail))
    problems += managed.name_problems(at, requested)
    if problems:
        raise errors.invalid(f"{_options_kind(request)}.meta.k8s.io", "", problems)
    return requested or _agent(request.headers.get("user-agent", ""))


@lru_cache(maxsize=256)
def _agent(header: str) -> str:
    name = "".join(filter(str.isprintable, header.partition("/")[0]))
    return name.encode()[: managed.NAME_LENGTH].decode(errors="ignore")


def encode_token(revision: int, start: str) -> str:
    """The continue token for the items after ``start`` (a key below the listed prefix); revision
    -1 reads on at the newest one."""
    raw = msgspec.json.encode(_Token(v="meta.k8s.io/v1", rv=revision, start=start + "\0"))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _options_kind(request: Request) -> str:
    return {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(
        request.method, "DeleteOptions"
    )


def _check(
    version: str,
    match: str,
    token: str,
    initial: bool | None,
    watching: bool,
) -> list[FieldError]:
    problems: list[FieldError] = []
    at = field.path("resourceVersionMatch")
    if watching:
        if initial is not None and match != "NotOlderThan":
            problems.append(
                field.forbidden(
                    at,
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                )
            )
        if not match:
            return problems
        if initial is None:
            problems.append(
                field.forbidden(
                    at,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                    "provided",
                )
            )
        if match != "NotOlderThan":
            problems.append(field.not_supported(at, match, ["NotOlderThan"]))
        if token:
            problems.append(
                field.forbidden(at, "resourceVersionMatch is forbidden when continue is provided")
            )
        return problems
    if match:
        if not version:
            problems.append(
                field.forbidden(
                    at, "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            )
        if token:
            problems.append(
                field.forbidden(at, "resourceVersionMatch is forbidden when continue is provided")
            )
        if match not in ("Exact", "NotOlderThan"):
            problems.append(field.not_supported(at, match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and version == "0":
            problems.append(
                field.forbidden(
                    at, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
                )
            )
    if initial is not None:
        problems.append(
            field.forbidden(
                field.path("sendInitialEvents"), "sendInitialEvents is forbidden for list"
            )
        )
    return problems


def minimum_version(request: Request) -> int | None:
    """The version that a GET must be of at least; 0 for any, None for the newest."""
    return _version(request.param("resourceVersion"))


def _version(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        problem = field.invalid(
            field.path("resourceVersion"),
            text,
            f'strconv.ParseUint: parsing "{text}": invalid syntax',
        )
        raise errors.bad_request(f"invalid resource version: {problem}")
    return int(text)


def _decode_token(token: str) -> tuple[str, int]:
    """Where to go on (the last key before it) and at which revision; below zero: the newest."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        parsed = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _bad_token(": the token could not be decoded") from None
    if parsed.v != "meta.k8s.io/v1":
        raise _bad_token(f": server does not recognize this encoded version {parsed.v}")
    if parsed.rv == 0:
        raise _bad_token(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not parsed.start:
        raise _bad_token(": encoded start key empty (version meta.k8s.io/v1)")
    # A key that leaves the listed prefix would read what this list may not.
    key = "/" + parsed.start.removeprefix("/")
    if posixpath.normpath(key) != key:
        raise _bad_token(f": {parsed.start}")
    return key[1:].removesuffix("\0"), parsed.rv


def _bad_token(detail: str) -> errors.ApiError:
    return errors.bad_request(f"invalid continue token: continue key is not valid{detail}")


def _integer(request: Request, name: str) -> int | None:
    text = request.param(name)
    if not text:
        return None
    if not is_integer(text) or not -(2**63) <= int(text) < 2**63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _seconds(request: Request) -> float | None:
    seconds = _integer(request, "timeoutSeconds")
    return None if seconds is None else float(seconds)
