"""The one family of API errors: each carries the Status that answers the request.

In: what went wrong, named. Out: ``ApiError``, raised anywhere below the outermost filter and turned
into a reply only there (and by the client, back into an ``ApiError``). A resource is named as
upstream prints it, ``"pods"`` or ``"deployments.apps"``; a kind ``"Pod"`` or ``"Deployment.apps"``.
Rules: apimachinery ``api/errors``; api-conventions.md#http-status-codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from trireme.machinery import field, gotext
from trireme.machinery.field import FieldError
from trireme.machinery.meta import ListMeta
from trireme.machinery.status import Status, StatusCause, StatusDetails

UNKNOWN: Final = ""
UNAUTHORIZED: Final = "Unauthorized"
FORBIDDEN: Final = "Forbidden"
NOT_FOUND: Final = "NotFound"
ALREADY_EXISTS: Final = "AlreadyExists"
CONFLICT: Final = "Conflict"
GONE: Final = "Gone"
EXPIRED: Final = "Expired"
INVALID: Final = "Invalid"
SERVER_TIMEOUT: Final = "ServerTimeout"
STORE_READ_ERROR: Final = "StorageReadError"
TIMEOUT: Final = "Timeout"
TOO_MANY_REQUESTS: Final = "TooManyRequests"
BAD_REQUEST: Final = "BadRequest"
METHOD_NOT_ALLOWED: Final = "MethodNotAllowed"
NOT_ACCEPTABLE: Final = "NotAcceptable"
REQUEST_ENTITY_TOO_LARGE: Final = "RequestEntityTooLarge"
UNSUPPORTED_MEDIA_TYPE: Final = "UnsupportedMediaType"
INTERNAL_ERROR: Final = "InternalError"
SERVICE_UNAVAILABLE: Final = "ServiceUnavailable"

# Texts that several callers share.
LIST_EXPIRED: Final = "The resourceVersion for the provided list is too old."
INCONSISTENT_CONTINUE: Final = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in this "
    "response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between "
    "the time the first chunk was returned and now may show up in the list."
)
MODIFIED: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ApiError(Exception):
    """A failure with an HTTP code, a machine-readable reason, a message and perhaps details.

    ``continue_token`` is only set by a list whose snapshot was compacted away.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: StatusDetails | None = None,
        *,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.continue_token = continue_token

    def status(self) -> Status:
        """The Status object that answers the request."""
        return Status(
            metadata=ListMeta(continue_=self.continue_token),
            status="Failure",
            message=self.message,
            reason=self.reason,
            details=self.details,
            code=self.code,
        )

    @property
    def retry_after(self) -> int:
        """Seconds after which the server asks the client to try again; 0 when it does not say."""
        return self.details.retryAfterSeconds if self.details is not None else 0

    def has_cause(self, reason: str) -> bool:
        """Whether one of the details' causes has this reason."""
        return self.details is not None and any(c.reason == reason for c in self.details.causes)


def from_status(status: Status) -> ApiError:
    """The error that a server's Status reports; what a client raises."""
    return ApiError(
        status.code,
        status.reason,
        status.message,
        status.details,
        continue_token=status.metadata.continue_,
    )


def not_found(resource: str, name: str) -> ApiError:
    """404: there is no such object."""
    message = f"{resource} {gotext.quote(name)} not found"
    return ApiError(404, NOT_FOUND, message, _details(resource, name))


def already_exists(resource: str, name: str) -> ApiError:
    """409: an object of that name is there."""
    message = f"{resource} {gotext.quote(name)} already exists"
    return ApiError(409, ALREADY_EXISTS, message, _details(resource, name))


def generate_name_conflict(resource: str, name: str, retry_after: int = 1) -> ApiError:
    """409: every name made from generateName was taken."""
    message = (
        f"{resource} {gotext.quote(name)} already exists, the server was not able to generate a "
        "unique name for the object"
    )
    return ApiError(409, ALREADY_EXISTS, message, _details(resource, name, retry_after))


def conflict(resource: str, name: str, detail: str = MODIFIED) -> ApiError:
    """409: the object has changed since the client read it."""
    message = f"Operation cannot be fulfilled on {resource} {gotext.quote(name)}: {detail}"
    return ApiError(409, CONFLICT, message, _details(resource, name))


def apply_conflict(causes: Sequence[StatusCause], message: str) -> ApiError:
    """409: server-side apply met fields that other managers own."""
    return ApiError(409, CONFLICT, message, StatusDetails(causes=list(causes)))


def invalid(kind: str, name: str, errs: Sequence[FieldError]) -> ApiError:
    """422: the object breaks the rules of its kind; one cause per field error."""
    short, _, group = kind.partition(".")
    causes = [StatusCause(reason=e.type, message=e.body(), field=e.field) for e in errs]
    message = f"{kind} {gotext.quote(name)} is invalid"
    if errs:
        message = f"{message}: {field.join(errs)}"
    details = StatusDetails(name=name, group=group, kind=short, causes=causes)
    return ApiError(422, INVALID, message, details)


def bad_request(message: str) -> ApiError:
    """400: the request is malformed."""
    return ApiError(400, BAD_REQUEST, message)


def unauthorized(message: str = "") -> ApiError:
    """401: the request is not authenticated."""
    return ApiError(401, UNAUTHORIZED, message or "not authorized")


def forbidden(resource: str, name: str, detail: str) -> ApiError:
    """403: the request is understood and refused; admission plugins say ``detail``."""
    if not resource:
        message = f"forbidden: {detail}"
    elif not name:
        message = f"{resource} is forbidden: {detail}"
    else:
        message = f"{resource} {gotext.quote(name)} is forbidden: {detail}"
    return ApiError(403, FORBIDDEN, message, _details(resource, name))


def access_denied(
    user: str,
    verb: str,
    *,
    resource: str = "",
    group: str = "",
    subresource: str = "",
    namespace: str = "",
    name: str = "",
    path: str = "",
    reason: str = "",
) -> ApiError:
    """403: denied by authorization. ``path`` is set for requests that are not about a resource."""
    who = gotext.quote(user)
    if path:
        text = f"User {who} cannot {verb} path {gotext.quote(path)}"
    else:
        what = gotext.quote(f"{resource}/{subresource}" if subresource else resource)
        where = (
            f"in the namespace {gotext.quote(namespace)}" if namespace else "at the cluster scope"
        )
        api = gotext.quote(group)
        text = f"User {who} cannot {verb} resource {what} in API group {api} {where}"
    # Browsers must not see markup that a request put into the message.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if reason:
        text = f"{text}: {reason}"
    return forbidden(f"{resource}.{group}" if group else resource, name, text)


def method_not_supported(resource: str, action: str) -> ApiError:
    """405: the resource has no such verb."""
    message = f"{action} is not supported on resources of kind {gotext.quote(resource)}"
    return ApiError(405, METHOD_NOT_ALLOWED, message, _details(resource))


def not_acceptable(accepted: Iterable[str]) -> ApiError:
    """406: none of the media types that the client takes can be produced."""
    names = ", ".join(accepted)
    return ApiError(406, NOT_ACCEPTABLE, f"only the following media types are accepted: {names}")


def not_acceptable_at_all(accepted: Iterable[str]) -> ApiError:
    """406: the client takes no media type that the path has at all."""
    names = ", ".join(accepted)
    message = f"406: Not Acceptable\n\nAvailable representations: {names}"
    return ApiError(406, NOT_ACCEPTABLE, message, StatusDetails())


def method_not_allowed() -> ApiError:
    """405: the path does not have this method."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, METHOD_NOT_ALLOWED, message, StatusDetails())


def no_such_resource() -> ApiError:
    """404: no kind is served at the path."""
    message = "the server could not find the requested resource"
    return ApiError(404, NOT_FOUND, message, StatusDetails())


def not_acceptable_form(message: str) -> ApiError:
    """406: the answer cannot be transformed as asked; the message says why."""
    return ApiError(406, NOT_ACCEPTABLE, message)


def gone(message: str) -> ApiError:
    """410 Gone; the older form of ``expired``."""
    return ApiError(410, GONE, message)


def expired(message: str, continue_token: str = "") -> ApiError:
    """410 Expired: the asked revision is compacted away; the client must list again."""
    return ApiError(410, EXPIRED, message, continue_token=continue_token)


def too_old_resource_version(requested: int, oldest: int | None = None) -> ApiError:
    """410 Expired: a watch or list from ``requested``; ``oldest`` is the oldest revision kept."""
    text = f"too old resource version: {requested}"
    return expired(text if oldest is None else f"{text} ({oldest})")


def request_entity_too_large(message: str) -> ApiError:
    """413: the body passes the limit."""
    return ApiError(413, REQUEST_ENTITY_TOO_LARGE, f"Request entity too large: {message}")


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    """415: the body's content type is not understood."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return ApiError(415, UNSUPPORTED_MEDIA_TYPE, message)


def too_many_requests(message: str, retry_after: int = 0) -> ApiError:
    """429: try again later."""
    details = StatusDetails(retryAfterSeconds=retry_after)
    return ApiError(429, TOO_MANY_REQUESTS, message, details)


def internal_error(detail: str | BaseException) -> ApiError:
    """500: a bug, or a failure of the machine."""
    details = StatusDetails(causes=[StatusCause(message=str(detail))])
    return ApiError(500, INTERNAL_ERROR, f"Internal error occurred: {detail}", details)


def service_unavailable(message: str) -> ApiError:
    """503."""
    return ApiError(503, SERVICE_UNAVAILABLE, message)


def timeout(message: str, retry_after: int = 0) -> ApiError:
    """504: no answer in time; the operation may yet complete."""
    details = StatusDetails(retryAfterSeconds=retry_after)
    return ApiError(504, TIMEOUT, f"Timeout: {message}", details)


def too_large_resource_version(requested: int, current: int, retry_after: int = 1) -> ApiError:
    """504: the client wants a revision that this server has not reached."""
    error = timeout(f"Too large resource version: {requested}, current: {current}", retry_after)
    cause = StatusCause(reason="ResourceVersionTooLarge", message="Too large resource version")
    assert error.details is not None
    error.details.causes = [cause]
    return error


_GENERIC: Final = {
    400: (BAD_REQUEST, "the server rejected our request for an unknown reason"),
    401: (UNAUTHORIZED, "the server has asked for the client to provide credentials"),
    404: (NOT_FOUND, "the server could not find the requested resource"),
    405: (METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource"),
    422: (INVALID, "the server rejected our request due to an error in our request"),
    429: (
        TOO_MANY_REQUESTS,
        "the server has received too many requests and has asked us to try again later",
    ),
    503: (SERVICE_UNAVAILABLE, "the server is currently unable to handle the request"),
    504: (
        TIMEOUT,
        "the server was unable to return a response in the time allotted, "
        "but may still be processing the request",
    ),
}


def generic(
    code: int,
    verb: str,
    resource: str,
    name: str,
    server_message: str,
    retry_after: int = 0,
    *,
    unexpected: bool = False,
) -> ApiError:
    """The error for a bare HTTP ``code``: what a server or client says when there is no Status.

    ``unexpected`` adds ``server_message`` as a cause: the body came from something else than an
    API server.
    """
    reason, message = _generic_text(code, verb, server_message)
    if resource:
        subject = f"{resource} {name}" if name else resource
        message = f"{message} ({verb.lower()} {subject})"
    details = _details(resource, name, retry_after)
    if unexpected:
        details.causes = [StatusCause(reason="UnexpectedServerResponse", message=server_message)]
    return ApiError(code, reason, message, details)


def _generic_text(code: int, verb: str, server_message: str) -> tuple[str, str]:
    if code in _GENERIC:
        return _GENERIC[code]
    if code == 409:
        reason = ALREADY_EXISTS if verb.upper() == "POST" else CONFLICT
        return reason, "the server reported a conflict"
    if code == 403:
        return FORBIDDEN, server_message
    if code == 415:
        return UNSUPPORTED_MEDIA_TYPE, server_message
    if code == 406:
        if server_message in ("", "unknown"):
            text = "the server was unable to respond with a content type that the client supports"
            return NOT_ACCEPTABLE, text
        return NOT_ACCEPTABLE, server_message
    if code >= 500:
        quoted = gotext.quote(server_message)
        text = f"an error on the server ({quoted}) has prevented the request from succeeding"
        return INTERNAL_ERROR, text
    text = f"the server responded with the status code {code} but did not return more information"
    return UNKNOWN, text


def is_not_found(error: BaseException) -> bool:
    return _is(error, NOT_FOUND, 404)


def is_already_exists(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.reason == ALREADY_EXISTS


def is_conflict(error: BaseException) -> bool:
    return _is(error, CONFLICT, 409)


def is_race_lost(error: BaseException) -> bool:
    """Whether another writer was faster: the object is there already, gone, or changed."""
    return is_already_exists(error) or is_not_found(error) or is_conflict(error)


def is_invalid(error: BaseException) -> bool:
    return _is(error, INVALID, 422)


def is_expired(error: BaseException) -> bool:
    """Whether the client must list anew: 410, whatever its reason."""
    return isinstance(error, ApiError) and (error.reason in (EXPIRED, GONE) or error.code == 410)


def is_forbidden(error: BaseException) -> bool:
    return _is(error, FORBIDDEN, 403)


def is_unauthorized(error: BaseException) -> bool:
    return _is(error, UNAUTHORIZED, 401)


def is_too_many_requests(error: BaseException) -> bool:
    return isinstance(error, ApiError) and (error.reason == TOO_MANY_REQUESTS or error.code == 429)


def is_namespace_terminating(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.has_cause("NamespaceTerminating")


_KNOWN: Final = frozenset(
    (
        UNAUTHORIZED, FORBIDDEN, NOT_FOUND, ALREADY_EXISTS, CONFLICT, GONE, EXPIRED, INVALID,
        SERVER_TIMEOUT, STORE_READ_ERROR, TIMEOUT, TOO_MANY_REQUESTS, BAD_REQUEST,
        METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, REQUEST_ENTITY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE,
        INTERNAL_ERROR, SERVICE_UNAVAILABLE,
    )
)  # fmt: skip


def _is(error: BaseException, reason: str, code: int) -> bool:
    if not isinstance(error, ApiError):
        return False
    return error.reason == reason or (error.code == code and error.reason not in _KNOWN)


def _details(resource: str, name: str = "", retry_after: int = 0) -> StatusDetails:
    short, _, group = resource.partition(".")
    return StatusDetails(name=name, group=group, kind=short, retryAfterSeconds=retry_after)
