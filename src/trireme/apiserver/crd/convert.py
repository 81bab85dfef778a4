"""Conversion between the versions of a custom kind.

In: plain objects of one version. Out: the same in another one. ``None`` changes nothing but the
version; ``Webhook`` asks an HTTPS service, which may change all but metadata. Rules:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/;
upstream pkg/apiserver/conversion.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from trireme.api.apiextensions.v1.types import CustomResourceConversion
from trireme.apiserver import hooks
from trireme.apiserver.hooks import Hooks
from trireme.machinery import errors

Plain = dict[str, Any]


class Converter(Protocol):
    async def __call__(self, objects: list[Plain], api_version: str) -> list[Plain]: ...


async def relabel(objects: list[Plain], api_version: str) -> list[Plain]:
    """The strategy None."""
    return [{**obj, "apiVersion": api_version} for obj in objects]


class WebhookConverter:
    """The strategy Webhook."""

    TIMEOUT = 30.0

    def __init__(self, name: str, conversion: CustomResourceConversion, ask: Hooks, uid: Any):
        self._name, self._hooks, self._uid = name, ask, uid
        webhook = conversion.webhook
        assert webhook is not None and webhook.clientConfig is not None
        self._config = webhook.clientConfig
        known = [item for item in webhook.conversionReviewVersions if item in ("v1", "v1beta1")]
        self._review = known[0] if known else ""

    async def __call__(self, objects: list[Plain], api_version: str) -> list[Plain]:
        todo = [obj for obj in objects if obj["apiVersion"] != api_version]
        if not todo:
            return objects
        done = iter(await self._ask(todo, api_version))
        return [obj if obj["apiVersion"] == api_version else next(done) for obj in objects]

    async def _ask(self, objects: list[Plain], api_version: str) -> list[Plain]:
        if not self._review:
            raise _failed(self._name, "does not recognize any of the supported review versions")
        uid = self._uid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{self._review}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        source, kind = objects[0]["apiVersion"], objects[0]["kind"]
        prefix = f"conversion webhook for {source}, Kind={kind} failed: "
        try:
            answer = await self._hooks(self._config, msgspec.json.encode(review), self.TIMEOUT)
        except OSError as problem:
            raise errors.internal_error(f"{prefix}{problem}") from None
        failed = hooks.failure(answer)
        if failed is not None:
            raise errors.internal_error(f"{prefix}{failed.message}")
        converted = self._read(answer.body, uid, prefix)
        if len(converted) != len(objects):
            raise errors.internal_error(
                f"{prefix}returned {len(converted)} objects, expected {len(objects)}"
            )
        return [
            _checked(new, old, api_version, position, prefix)
            for position, (new, old) in enumerate(zip(converted, objects, strict=True))
        ]

    def _read(self, body: bytes, uid: str, prefix: str) -> list[Any]:
        try:
            review = msgspec.json.decode(body)
            response = review["response"]
        except (msgspec.DecodeError, KeyError, TypeError) as problem:
            message = f"{prefix}no response provided"
            if isinstance(problem, msgspec.DecodeError):
                message = f"{prefix}invalid response: {problem}"
            raise errors.internal_error(message) from None
        expected = f"apiextensions.k8s.io/{self._review}"
        if (review.get("apiVersion"), review.get("kind")) != (expected, "ConversionReview"):
            raise errors.internal_error(
                f"{prefix}expected webhook response of {expected}, Kind=ConversionReview, got "
                f"{review.get('apiVersion')}, Kind={review.get('kind')}"
            )
        if self._review == "v1" and response.get("uid") != uid:
            raise errors.internal_error(
                f'{prefix}expected response.uid="{uid}", got "{response.get("uid", "")}"'
            )
        result = response.get("result") or {}
        if result.get("status") != "Success":
            message = result.get("message") or "no message provided"
            raise errors.internal_error(prefix + message)
        found: list[Any] = response.get("convertedObjects") or []
        return found


def _checked(new: Any, old: Plain, api_version: str, position: int, prefix: str) -> Plain:
    """What the webhook made of one object: the right kind, and the metadata that it had."""
    if not isinstance(new, dict) or new.get("apiVersion") != api_version:
        given = new.get("apiVersion") if isinstance(new, dict) else ""
        raise errors.internal_error(
            f"{prefix}returned invalid converted object at index {position}: invalid groupVersion "
            f"(expected {api_version}, received {given})"
        )
    if new.get("kind") != old["kind"]:
        raise errors.internal_error(
            f"{prefix}returned invalid converted object at index {position}: invalid kind "
            f"(expected {old['kind']}, received {new.get('kind')})"
        )
    meta, was = new.get("metadata"), old["metadata"]
    if not isinstance(meta, dict):
        raise errors.internal_error(
            f"{prefix}returned invalid metadata in object at index {position}: missing metadata "
            "in converted object"
        )
    for key in ("name", "namespace", "uid"):
        if meta.get(key, "") != was.get(key, ""):
            raise errors.internal_error(
                f"{prefix}returned invalid metadata in object at index {position}: "
                f"must have the same {key}: {was.get(key, '')} != {meta.get(key, '')}"
            )
    # Labels and annotations are the webhook's to change, nothing else.
    kept = {key: value for key, value in was.items() if key not in ("labels", "annotations")}
    for key in ("labels", "annotations"):
        if meta.get(key):
            kept[key] = meta[key]
    return {**new, "metadata": kept}


def _failed(name: str, message: str) -> errors.ApiError:
    return errors.internal_error(f"conversion webhook for {name} failed: {message}")
