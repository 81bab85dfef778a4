"""What a request is, in admission/v1 AdmissionRequest's fields: for webhooks and for expressions.

Upstream: apiserver ``webhook/request`` CreateV1AdmissionReview, ``admission/plugin/cel``
CreateAdmissionRequest; meta/v1 CreateOptions, UpdateOptions, DeleteOptions.
"""

from __future__ import annotations

from typing import Any

from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes
from trireme.apiserver.admission.matching.matcher import namespace_of
from trireme.apiserver.admission.objects import Version
from trireme.machinery.codec import json


def fields(attributes: Attributes, found: Version) -> dict[str, Any]:
    """All but ``uid``, ``object`` and ``oldObject``; absent where upstream leaves a field out."""
    asked = objects.version(attributes.endpoint, attributes.subresource)
    name, namespace = attributes.name, namespace_of(attributes)
    sub = {"subResource": attributes.subresource} if attributes.subresource else {}
    request: dict[str, Any] = {
        "kind": found.kind._asdict(),
        "resource": found.resource._asdict(),
        **sub,
        "requestKind": asked.kind._asdict(),
        "requestResource": asked.resource._asdict(),
    }
    if sub:
        request["requestSubResource"] = attributes.subresource
    if name:
        request["name"] = name
    if namespace:
        request["namespace"] = namespace
    request["operation"] = attributes.operation
    request["userInfo"] = _user_info(attributes)
    request["dryRun"] = attributes.dry_run
    request["options"] = options(attributes)
    return request


def _user_info(attributes: Attributes) -> dict[str, Any]:
    user = attributes.user
    info: dict[str, Any] = {"username": user.name} if user.name else {}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def options(attributes: Attributes) -> dict[str, Any] | None:
    """The operation's options, as the request has them; None for a connection."""
    operation, request = attributes.operation, attributes.request
    if operation == "CONNECT":
        return None
    if operation == "DELETE":
        given = {} if attributes.options is None else json.to_plain(attributes.options)
        tried = {"dryRun": ["All"]} if attributes.dry_run else {}
        return {**given, **tried, "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    # Those of a patch become those of what it does.
    kind = "CreateOptions" if operation == "CREATE" else "UpdateOptions"
    found: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if request is None:
        return found
    if attributes.dry_run:
        found["dryRun"] = ["All"]
    for name in ("fieldManager", "fieldValidation"):
        if request.param(name):
            found[name] = request.param(name)
    return found
