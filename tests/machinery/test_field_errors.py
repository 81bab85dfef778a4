"""field and errors: the texts, reasons, causes and codes that clients see."""

from __future__ import annotations

import msgspec
import pytest

from trireme.machinery import errors, field, gotext
from trireme.machinery.meta import LabelSelector

SPEC = field.path("spec")


def test_paths() -> None:
    port = SPEC.child("containers").index(0).child("ports").index(1).child("name")
    assert str(port) == "spec.containers[0].ports[1].name"
    assert str(SPEC.child("template", "labels").key("foo/bar")) == "spec.template.labels[foo/bar]"
    assert str(field.path("metadata", "name")) == "metadata.name"
    assert str(field.path()) == ""
    assert str(field.path().child("kind")) == "kind"
    assert str(field.path().index(2)) == "[2]"
    assert SPEC.child("a") == field.path("spec", "a")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (field.required(SPEC, ""), "spec: Required value"),
        (field.required(SPEC, "say it"), "spec: Required value: say it"),
        (
            field.invalid(SPEC.child("replicas"), -1, "must be greater than or equal to 0"),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (field.invalid(SPEC, 'a"b\n', "bad"), 'spec: Invalid value: "a\\"b\\n": bad'),
        (field.invalid(SPEC, True, "bad"), "spec: Invalid value: true: bad"),
        (field.invalid(SPEC, None, "bad"), "spec: Invalid value: null: bad"),
        (field.invalid(SPEC, 1.5, "bad"), "spec: Invalid value: 1.5: bad"),
        (field.invalid(SPEC, ["a", "<"], ""), 'spec: Invalid value: ["a","\\u003c"]'),
        (
            field.invalid(SPEC, LabelSelector(matchLabels={"b": "1", "a": "2"}), "bad"),
            'spec: Invalid value: {"matchLabels":{"a":"2","b":"1"}}: bad',
        ),
        (
            field.not_supported(SPEC, "x", ("A", "B")),
            'spec: Unsupported value: "x": supported values: "A", "B"',
        ),
        (field.not_supported(SPEC, "x", ()), 'spec: Unsupported value: "x"'),
        (field.forbidden(SPEC, "no"), "spec: Forbidden: no"),
        (field.duplicate(SPEC, "x"), 'spec: Duplicate value: "x"'),
        (field.not_found(SPEC, "x"), 'spec: Not found: "x"'),
        (field.too_long(SPEC, 63), "spec: Too long: may not be more than 63 bytes"),
        (field.too_long(SPEC, 1), "spec: Too long: may not be more than 1 byte"),
        (field.too_many(SPEC, 3, 1), "spec: Too many: 3: must have at most 1 item"),
        (field.too_many(SPEC, -1, 2), "spec: Too many: must have at most 2 items"),
        (field.internal(SPEC, "oops"), "spec: Internal error: oops"),
    ],
)
def test_field_error_texts(error: field.FieldError, text: str) -> None:
    assert str(error) == text


def test_invalid_lists_each_message_once_and_all_causes() -> None:
    errs = [field.required(SPEC.child("a")), field.required(SPEC.child("a")), field.required(SPEC)]
    error = errors.invalid("Deployment.apps", "x", errs)
    assert error.code == 422
    assert error.message == (
        'Deployment.apps "x" is invalid: [spec.a: Required value, spec: Required value]'
    )
    assert msgspec.json.decode(msgspec.json.encode(error.status())) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": "Invalid",
        "details": {
            "name": "x",
            "group": "apps",
            "kind": "Deployment",
            "causes": [
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"},
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"},
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec"},
            ],
        },
        "code": 422,
    }
    one = errors.invalid("Pod", "x", errs[:2])
    assert one.message == 'Pod "x" is invalid: spec.a: Required value'


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (errors.not_found("pods", "x"), 404, "NotFound", 'pods "x" not found'),
        (
            errors.already_exists("deployments.apps", "x"),
            409,
            "AlreadyExists",
            'deployments.apps "x" already exists',
        ),
        (
            errors.conflict("pods", "x"),
            409,
            "Conflict",
            'Operation cannot be fulfilled on pods "x": the object has been modified; please '
            "apply your changes to the latest version and try again",
        ),
        (errors.unauthorized("Unauthorized"), 401, "Unauthorized", "Unauthorized"),
        (
            errors.access_denied("x", "list", resource="pods", namespace="default"),
            403,
            "Forbidden",
            'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the '
            'namespace "default"',
        ),
        (
            errors.access_denied(
                "x", "get", resource="deployments", group="apps", subresource="scale", name="w"
            ),
            403,
            "Forbidden",
            'deployments.apps "w" is forbidden: User "x" cannot get resource "deployments/scale" '
            'in API group "apps" at the cluster scope',
        ),
        (
            errors.access_denied("<b>", "get", path="/metrics", reason="why"),
            403,
            "Forbidden",
            'forbidden: User "&lt;b&gt;" cannot get path "/metrics": why',
        ),
        (
            errors.method_not_supported("pods", "patch"),
            405,
            "MethodNotAllowed",
            'patch is not supported on resources of kind "pods"',
        ),
        (
            errors.not_acceptable(["application/json", "application/yaml"]),
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        ),
        (
            errors.too_old_resource_version(3, 9),
            410,
            "Expired",
            "too old resource version: 3 (9)",
        ),
        (
            errors.request_entity_too_large("limit is 3145728"),
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        ),
        (errors.internal_error("x"), 500, "InternalError", "Internal error occurred: x"),
        (errors.timeout("slow", 1), 504, "Timeout", "Timeout: slow"),
        (
            errors.too_large_resource_version(9, 3),
            504,
            "Timeout",
            "Timeout: Too large resource version: 9, current: 3",
        ),
        (
            errors.generic(422, "", "", "", "lost"),
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        ),
        (
            errors.generic(409, "POST", "pods", "x", ""),
            409,
            "AlreadyExists",
            "the server reported a conflict (post pods x)",
        ),
        (
            errors.generic(418, "GET", "", "", ""),
            418,
            "",
            "the server responded with the status code 418 but did not return more information",
        ),
        (
            errors.generic(502, "GET", "", "", "no"),
            502,
            "InternalError",
            'an error on the server ("no") has prevented the request from succeeding',
        ),
    ],
)
def test_api_errors(error: errors.ApiError, code: int, reason: str, message: str) -> None:
    assert (error.code, error.reason, error.message) == (code, reason, message)
    assert str(errors.from_status(error.status())) == message


def test_predicates_fall_back_on_the_code_only_for_unknown_reasons() -> None:
    assert errors.is_not_found(errors.not_found("pods", "x"))
    assert errors.is_not_found(errors.ApiError(404, "", ""))
    assert not errors.is_conflict(errors.already_exists("pods", "x"))
    assert errors.is_expired(errors.gone("x"))
    assert not errors.is_not_found(KeyError())


def test_expired_list_carries_a_new_continue_token() -> None:
    status = errors.expired(errors.INCONSISTENT_CONTINUE, "token").status()
    assert status.metadata.continue_ == "token"
    assert errors.from_status(status).continue_token == "token"
    assert errors.timeout("x", 7).retry_after == 7


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a", '"a"'), ("é", '"é"'), ("\x00", '"\\x00"'), ("\u200b", '"\\u200b"'), ("\\", '"\\\\"')],
)
def test_go_quote(text: str, quoted: str) -> None:
    assert gotext.quote(text) == quoted


@pytest.mark.parametrize(
    ("item", "text"),
    [(0.1, "0.1"), (2.0, "2"), (1e21, "1e+21"), (1e-7, "1e-07"), (1.5e300, "1.5e+300")],
)
def test_go_numbers(item: float, text: str) -> None:
    assert gotext.number(item) == text
