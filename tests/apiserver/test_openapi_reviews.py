"""What kubectl finds in /openapi/v2 for kinds that have no PATCH: it has to check them itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trireme.kit.env import Env


async def test_kubectl_checks_reviews_itself(asking: Callable[..., Any]) -> None:
    async with asking(Env()) as ask:
        document = await ask.must("GET", "/openapi/v2")
    patch = document["paths"]["/api/v1/namespaces/{name}"]["patch"]
    assert "dryRun" in {item["name"] for item in patch["parameters"]}
    # Were it there, kubectl would list CustomResourceDefinitions next, which are not served.
    assert "fieldValidation" not in {item["name"] for item in patch["parameters"]}
    review = document["definitions"]["io.k8s.api.authorization.v1.SelfSubjectAccessReview"]
    assert review["properties"]["spec"]["$ref"].startswith("#/definitions/")
