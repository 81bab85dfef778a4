"""Administrators' access to devices: only where the namespace is labelled for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from trireme.kit.env import Env
from trireme.testing import virtual

MANIFESTS = Path(__file__).parents[2] / "data" / "manifests"
LABEL = "resource.kubernetes.io/admin-access"
WHY = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"


def manifest(plural: str, admin: bool) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MANIFESTS / f"{plural}.yaml").read_text())
    spec = found["spec"].get("spec", found["spec"])
    spec["devices"]["requests"][1]["exactly"]["adminAccess"] = admin
    return found


@virtual.test()
async def test_access_needs_a_label(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        for name, labels in (("plain", {}), ("admin", {LABEL: "true"})):
            meta = {"name": name, "labels": labels}
            await ask.must("POST", "/api/v1/namespaces", {"metadata": meta})
        for plural in ("resourceclaims", "resourceclaimtemplates"):
            plain = f"/apis/resource.k8s.io/v1/namespaces/plain/{plural}"
            admin = f"/apis/resource.k8s.io/v1/namespaces/admin/{plural}"
            status, refused = await ask("POST", plain, manifest(plural, True))
            assert status == 422, refused
            assert refused["details"]["causes"] == [
                {
                    "reason": "FieldValueForbidden",
                    "message": f"Forbidden: {WHY}",
                    "field": "spec.devices.requests[1].adminAccess",
                }
            ]
            await ask.must("POST", plain, manifest(plural, False))
            await ask.must("POST", admin, manifest(plural, True))


@virtual.test()
async def test_what_is_allocated_needs_it_too(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", "/api/v1/namespaces", {"metadata": {"name": "plain"}})
        claims = "/apis/resource.k8s.io/v1/namespaces/plain/resourceclaims"
        claim = await ask.must("POST", claims, manifest("resourceclaims", False))
        result = {"request": "all", "driver": "d", "pool": "p", "device": "x"}
        for expected, answer in ((True, 422), (False, 200)):
            results = [{**result, "adminAccess": expected}]
            claim["status"] = {"allocation": {"devices": {"results": results}}}
            status, found = await ask("PUT", f"{claims}/gpus/status", claim)
            assert status == answer, found
