"""CustomResourceDefinitions as upstream stores them, in v1beta1, brought to v1. Pure.

In: plain JSON, owned. Out: the same in v1: what a v1beta1 definition says of all versions together
stands with each of them. Upstream: apiextensions-apiserver pkg/apis/apiextensions (conversions).
"""

from __future__ import annotations

from typing import Any

V1BETA1 = "apiextensions.k8s.io/v1beta1"
_V1 = "apiextensions.k8s.io/v1"
# Of all versions -> of each.
_SHARED = {
    "validation": "schema",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def to_v1(obj: dict[str, Any]) -> dict[str, Any]:
    spec = obj.get("spec", {})
    shared = {to: spec.pop(name) for name, to in _SHARED.items() if spec.get(name) is not None}
    version = spec.pop("version", "")
    if not spec.get("versions") and version:
        spec["versions"] = [{"name": version, "served": True, "storage": True}]
    for each in spec.get("versions", ()):
        for name, value in shared.items():
            if each.get(name) is None:
                each[name] = value
        for column in each.get("additionalPrinterColumns") or ():
            if "JSONPath" in column:
                column["jsonPath"] = column.pop("JSONPath")
    conversion = spec.get("conversion") or {}
    webhook = {
        to: conversion.pop(name)
        for name, to in (
            ("webhookClientConfig", "clientConfig"),
            ("conversionReviewVersions", "conversionReviewVersions"),
        )
        if conversion.get(name) is not None
    }
    if conversion.get("strategy") == "Webhook":
        conversion["webhook"] = webhook
    return {**obj, "apiVersion": _V1}
