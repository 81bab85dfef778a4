"""AdmissionReview: what a webhook is asked, and what of its answer is taken. Pure.

Upstream: admission/v1 and v1beta1 types; apiserver ``webhook/request``, ``webhook/errors``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.machinery import errors, gotext
from trireme.machinery.schema import decode
from trireme.machinery.status import Status
from trireme.machinery.types import Struct

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
_encode = msgspec.json.Encoder().encode


class BadAnswer(Exception):
    """A webhook answered what it may not; str() is upstream's text."""


class AdmissionResponse(Struct):
    uid: str = ""
    allowed: bool = False
    status: Status | None = None
    patch: bytes = b""
    patchType: str | None = None
    auditAnnotations: dict[str, str] = {}
    warnings: list[str] = []


class AdmissionReview(Struct):
    kind: str = ""
    apiVersion: str = ""
    response: AdmissionResponse | None = None


def version(accepted: list[str] | None) -> str | None:
    """The first version of the reviews that a webhook takes which there is."""
    return next((item for item in accepted or () if item in VERSIONS), None)


def request(
    version: str, uid: str, fields: dict[str, Any], new: bytes | None, old: bytes | None
) -> bytes:
    """The review that is sent. ``new`` and ``old`` are JSON."""
    return _encode(
        {
            "kind": "AdmissionReview",
            "apiVersion": f"{GROUP}/{version}",
            "request": {
                "uid": uid,
                **fields,
                "object": None if new is None else msgspec.Raw(new),
                "oldObject": None if old is None else msgspec.Raw(old),
            },
        }
    )


def answer(data: bytes, version: str, uid: str, *, mutating: bool) -> AdmissionResponse:
    """The checked response of a review; BadAnswer. DecodeError for what is none."""
    review: AdmissionReview
    review, _ = decode.decode(data, AdmissionReview, decode.IGNORE)
    response = review.response
    if response is None:
        raise BadAnswer("webhook response was absent")
    if version == "v1beta1":
        # Neither uid nor kind nor the type of the patch was checked then.
        response.patchType = "JSONPatch" if mutating and response.patch else None
        if not mutating:
            response.patch = b""
        return response
    if response.uid != uid:
        got = gotext.quote(response.uid)
        raise BadAnswer(f"expected response.uid={gotext.quote(uid)}, got {got}")
    if (review.apiVersion, review.kind) != (f"{GROUP}/v1", "AdmissionReview"):
        group, _, name = review.apiVersion.rpartition("/")
        raise BadAnswer(
            f"expected webhook response of {GROUP}/v1, Kind=AdmissionReview, got "
            f"{group}/{name}, Kind={review.kind}"
        )
    _check_patch(response, mutating)
    return response


def _check_patch(response: AdmissionResponse, mutating: bool) -> None:
    patch, kind = response.patch, response.patchType
    if not mutating:
        if patch:
            raise BadAnswer("validating webhook may not return response.patch")
        if kind is not None:
            raise BadAnswer("validating webhook may not return response.patchType")
    elif patch and kind is None:
        raise BadAnswer("webhook returned response.patch but not response.patchType")
    elif kind is not None and not patch:
        raise BadAnswer("webhook returned response.patchType but not response.patch")
    elif kind == "":
        raise BadAnswer('webhook returned invalid response.patchType of ""')


def denial(name: str, status: Status | None) -> errors.ApiError:
    """The error of a request that a webhook refuses."""
    status = status or Status()
    denied = f"admission webhook {gotext.quote(name)} denied the request"
    explanation = status.message or status.reason
    message = f"{denied}: {explanation}" if explanation else f"{denied} without explanation"
    return errors.ApiError(max(status.code, 400), status.reason, message, status.details)


def no_dry_run(name: str) -> errors.ApiError:
    """The error of a dry run that a webhook with side effects would see."""
    return errors.bad_request(f"admission webhook {gotext.quote(name)} does not support dry run")
