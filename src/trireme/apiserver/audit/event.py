"""The audit event of one request: what is known of it at each stage.

In: the request, what became of it. Out: events for the sinks, as upstream encodes them. Made by
``auditor``, filled in by the filters and the verbs. Upstream: apiserver ``pkg/audit/request.go``,
``pkg/apis/audit``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from trireme.apiserver.audit.policy import Config
from trireme.apiserver.reply.reply import JSON, AnyReply, Reply
from trireme.apiserver.request import Request, User
from trireme.machinery import errors, names, time
from trireme.machinery.codec import cbor, yaml
from trireme.machinery.codec.protobuf import decode, table

METADATA, REQUEST, RESPONSE = 1, 2, 3
KIND, VERSION = "Event", "audit.k8s.io/v1"
_MOST_AGENT = 1024
_DELETIONS = ("delete", "deletecollection")
_INTERNAL = "meta.k8s.io/__internal"
_STATUS = re.compile(rb'\s*\{\s*"kind"\s*:\s*"Status"')
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_PATCHES = "patch.webhook.admission.k8s.io/"
_STATUS_FIELDS = ("status", "message", "reason", "details", "code")


class Event(msgspec.Struct, omit_defaults=True):
    """As it is written; the order of the fields is Go's."""

    kind: str
    apiVersion: str
    level: str
    auditID: str
    stage: str
    requestURI: str
    verb: str
    user: dict[str, Any]
    impersonatedUser: dict[str, Any] | None = None
    authenticationMetadata: dict[str, str] | None = None
    sourceIPs: list[str] | None = None
    userAgent: str = ""
    objectRef: dict[str, str] | None = None
    responseStatus: dict[str, Any] | None = None
    requestObject: msgspec.Raw | None = None
    responseObject: msgspec.Raw | None = None
    requestReceivedTimestamp: str | None = None
    stageTimestamp: str | None = None
    annotations: dict[str, str] | None = None


class RequestAudit:
    """Collects what an event says."""

    __slots__ = (
        "_agent",
        "_impersonated",
        "_received",
        "_ref",
        "_request",
        "_request_object",
        "_response_object",
        "_source",
        "_status",
        "_uri",
        "_user",
        "audit_id",
        "config",
        "constraint",
        "is_over",
        "panicked",
    )

    def __init__(self, request: Request, config: Config, audit_id: str, received: str) -> None:
        self.config = config
        self.audit_id = audit_id
        self._impersonated: User | None = None
        # What an exception said that nobody expected.
        self.panicked = ""
        # Whether the last event has been made.
        self.is_over = False
        # The verb by which somebody else could be impersonated.
        self.constraint = ""
        self._request = request
        self._user = request.user
        self._received = received
        headers = request.headers
        agent = headers.get("user-agent", "")
        if len(agent) > _MOST_AGENT:
            agent = f"{agent[:_MOST_AGENT]}...TRUNCATED"
        self._agent = agent
        self._source = _sources(headers, request.remote)
        self._uri = f"{request.path}?{request.raw_query}" if request.raw_query else request.path
        self._ref = _ref(request)
        self._status: dict[str, Any] | None = None
        self._request_object: bytes | None = None
        self._response_object: bytes | None = None

    def impersonate(self, user: User) -> None:
        """The user in whose name the rest is done."""
        if user is not self._user:
            self._impersonated = user

    def request_object(self, obj: Any) -> None:
        """What the request brought, once it has been decoded."""
        meta = getattr(obj, "metadata", None)
        if meta is None and isinstance(obj, Mapping):
            meta = obj.get("metadata")
        if self._ref is not None and meta is not None:
            for name in ("namespace", "name", "uid", "resourceVersion"):
                found = meta.get(name) if isinstance(meta, Mapping) else getattr(meta, name, "")
                self._ref[name] = self._ref[name] or str(found or "")
        if self.config.level >= REQUEST:
            self._request_object = self._encoded(obj)

    def answered(self, answer: AnyReply) -> None:
        """What is answered."""
        if not isinstance(answer, Reply):
            self._status = {"metadata": {}, "code": getattr(answer, "status", 101)}
            return
        self._status = {"metadata": {}, "code": answer.status}
        if not self._request.info.is_resource and answer.status < 400:
            return
        has_object = self.config.level >= RESPONSE and answer.length > 0
        status = answer.content_type == JSON and answer.length < 64 * 1024
        if not has_object and not status:
            return
        plain = answer.body if answer.content_type == JSON else b""
        if plain and status and _STATUS.match(plain):
            found = msgspec.json.decode(plain)
            self._status = {"metadata": {}} | {
                name: found[name] for name in _STATUS_FIELDS if name in found
            }
            self._status.setdefault("code", answer.status)
        if has_object:
            self._response_object = plain or _as_json(answer)

    def panic(self) -> None:
        """The answer is none that anybody meant."""
        self._status = {
            "metadata": {},
            "status": "Failure",
            "message": f"APIServer panic'd: {self.panicked}",
            "reason": "InternalError",
            "code": 500,
        }

    def end(self) -> None:
        """There is nobody left to answer to, unless it has been."""
        if self._status is None:
            message = "Connection closed early"
            self._status = {"metadata": {}, "status": "Success", "message": message, "code": 200}

    def event(self, stage: str, now: float) -> Event:
        """The event of a stage."""
        request, config = self._request, self.config
        self._read_body()
        ref = self._ref
        if ref is not None:
            ref = {name: value for name, value in ref.items() if value}
        return Event(
            kind=KIND,
            apiVersion=VERSION,
            level=("None", "Metadata", "Request", "RequestResponse")[config.level],
            auditID=self.audit_id,
            stage=stage,
            requestURI=self._uri,
            verb=request.info.verb,
            user=_user(self._user) if self._user is not None else {},
            impersonatedUser=None if self._impersonated is None else _user(self._impersonated),
            authenticationMetadata=(
                {"impersonationConstraint": self.constraint} if self.constraint else None
            ),
            sourceIPs=self._source,
            userAgent=self._agent,
            objectRef=ref,
            responseStatus=self._status,
            requestObject=self._raw(self._request_object),
            responseObject=self._raw(self._response_object),
            requestReceivedTimestamp=self._received,
            stageTimestamp=time.format_micro(now),
            annotations=self._annotations() or None,
        )

    def _annotations(self) -> dict[str, str]:
        """What webhooks patched is as much as the body says."""
        found = self._request.annotations
        if self.config.level >= REQUEST:
            return dict(found)
        return {key: value for key, value in found.items() if not key.startswith(_PATCHES)}

    def _read_body(self) -> None:
        """The body where no verb has decoded it: patches, options of deletions."""
        request = self._request
        if self._request_object is not None or self.config.level < REQUEST or not request.body:
            return
        media = request.headers.get("content-type", "").partition(";")[0].strip()
        if media.endswith("yaml"):
            try:
                self._request_object = msgspec.json.encode(yaml.load(request.body).value)
            except (errors.ApiError, TypeError):
                return
        elif "json" in media or not media:
            try:
                plain = msgspec.json.decode(request.body)
            except (msgspec.DecodeError, RecursionError):
                return
            self._request_object = self._encoded(plain)

    def _encoded(self, obj: Any) -> bytes:
        if self._request.info.verb not in _DELETIONS:
            return msgspec.json.encode(obj)
        # Options, as upstream shows them: it has no version of them here.
        return msgspec.json.encode(
            {**msgspec.to_builtins(obj), "kind": "DeleteOptions", "apiVersion": _INTERNAL}
        )

    def _raw(self, data: bytes | None) -> msgspec.Raw | None:
        if data is None:
            return None
        if self.config.omit_managed_fields and b'"managedFields"' in data:
            data = msgspec.json.encode(_without_managed_fields(msgspec.json.decode(data)))
        return msgspec.Raw(data.strip())


def _as_json(answer: Reply) -> bytes | None:
    """An object in another form, None for what is none."""
    try:
        if answer.content_type.startswith(_PROTOBUF):
            plain = decode.decode(answer.body, table.built_in())
        elif "yaml" in answer.content_type:
            plain = yaml.load(answer.body).value
        elif "cbor" in answer.content_type:
            plain = cbor.load(answer.body)
        else:
            return None
        return msgspec.json.encode(plain)
    except (ValueError, TypeError, errors.ApiError):
        return None


def _user(user: User) -> dict[str, Any]:
    found: dict[str, Any] = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = user.groups
    if user.extra:
        found["extra"] = user.extra
    return found


def _ref(request: Request) -> dict[str, str] | None:
    info = request.info
    if not info.is_resource:
        return None
    found = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "uid": "",
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": "",
        "subresource": info.subresource,
    }
    return found


def _sources(headers: Mapping[str, str], remote: str) -> list[str]:
    """Who sent it, through which proxies: X-Forwarded-For, X-Real-Ip, the connection's peer."""
    forwarded = headers.get("x-forwarded-for", "")
    found = [item.strip() for item in forwarded.split(",")] if forwarded else []
    real = headers.get("x-real-ip", "").strip()
    if real and real not in found:
        found.append(real)
    found = [item for item in found if names.parse_ip_strict(item) is not None]
    if remote and (not found or found[-1] != remote):
        found.append(remote)
    return found


def _without_managed_fields(obj: Any) -> Any:
    if not isinstance(obj, dict):
        return obj
    meta = obj.get("metadata")
    if isinstance(meta, dict):
        meta.pop("managedFields", None)
    for item in obj.get("items") or ():
        _without_managed_fields(item)
    for row in obj.get("rows") or ():
        if isinstance(row, dict):
            _without_managed_fields(row.get("object"))
    return obj
