"""Files of EncryptionConfiguration."""

from __future__ import annotations

import base64
import json
from typing import Any

IDENTITY: dict[str, Any] = {"identity": {}}


def secret(number: int, size: int = 32) -> str:
    return base64.b64encode(bytes([number]) * size).decode()


def keyed(provider: str, *keys: tuple[str, int]) -> dict[str, Any]:
    return {provider: {"keys": [{"name": name, "secret": secret(n)} for name, n in keys]}}


def rule(*providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)) -> dict[str, Any]:
    return {"resources": list(resources), "providers": list(providers)}


def file(*rules: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": list(rules),
        }
    ).encode()
