"""The status of definitions: whose it is, the approval of protected groups, a write that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.apiserver.conftest import Asker
from tests.apiserver.crd.conftest import CRDS, definition
from trireme.kit.env import Env
from trireme.store.contract import StoreUnavailable
from trireme.testing import control_plane, virtual

ANNOTATION = "api-approved.kubernetes.io"
MERGE = {"content-type": "application/merge-patch+json"}
WIDGETS = f"{CRDS}/widgets.example.com"
APPROVED = "KubernetesAPIApprovalPolicyConformant"


@asynccontextmanager
async def asked(env: Env) -> AsyncIterator[Asker]:
    async with control_plane.api_server(env, post_start_hooks=True) as server:
        yield Asker(server)


def conditions(found: Any) -> dict[str, tuple[str, str, str]]:
    return {
        item["type"]: (item["status"], item["reason"], item["message"])
        for item in found["status"]["conditions"]
    }


@virtual.test()
async def test_the_server_owns_the_status(env: Env) -> None:
    async with asked(env) as ask:
        await ask.must("POST", CRDS, definition())
        await env.clock.sleep(1)
        found = await ask.must("GET", WIDGETS)
        [own] = [item for item in found["metadata"]["managedFields"] if "subresource" in item]
        assert (own["manager"], own["operation"], own["subresource"]) == (
            "kube-apiserver",
            "Update",
            "status",
        )
        fields = ("", "lastTransitionTime", "message", "reason", "status", "type")
        condition = {f"f:{name}" if name else ".": {} for name in fields}
        assert own["fieldsV1"] == {
            "f:status": {
                "f:acceptedNames": {
                    f"f:{name}": {} for name in ("kind", "listKind", "plural", "singular")
                },
                "f:conditions": {
                    'k:{"type":"Established"}': condition,
                    'k:{"type":"NamesAccepted"}': condition,
                },
            }
        }


PULL = "https://github.com/kubernetes/kubernetes/pull/1111"
BYPASSED = "unapproved, an experiment"
STATES = [
    (PULL, ("True", "ApprovedAnnotation", f"approved in {PULL}")),
    (BYPASSED, ("False", "UnapprovedAnnotation", f'not approved: "{BYPASSED}"')),
    ("unapproved", ("False", "UnapprovedAnnotation", 'not approved: "unapproved"')),
]


@virtual.test()
async def test_approval_of_a_protected_group(env: Env) -> None:
    async with asked(env) as ask:
        desired = definition(group="example.k8s.io")
        desired["metadata"]["name"] = "widgets.example.k8s.io"
        path = f"{CRDS}/widgets.example.k8s.io"
        for text, expected in STATES:
            desired["metadata"]["annotations"] = {ANNOTATION: text}
            if text == PULL:
                await ask.must("POST", CRDS, desired)
            else:
                change = {"metadata": desired["metadata"]}
                await ask.must("PATCH", path, change, MERGE)
            await env.clock.sleep(1)
            found = await ask.must("GET", path)
            assert conditions(found)[APPROVED] == expected
            assert conditions(found)["Established"][0] == "True"
        # What is not approved in either way stays as it is.
        for value in (None, "because"):
            change = {"metadata": {"annotations": {ANNOTATION: value}}}
            status, refused = await ask("PATCH", path, change, MERGE)
            assert status == 422
            assert f"metadata.annotations[{ANNOTATION}]" in refused["message"]


@virtual.test()
async def test_no_other_group_is_approved(env: Env) -> None:
    async with asked(env) as ask:
        desired = definition()
        desired["metadata"]["annotations"] = {ANNOTATION: PULL}
        await ask.must("POST", CRDS, desired)
        await env.clock.sleep(1)
        assert APPROVED not in conditions(await ask.must("GET", WIDGETS))


@virtual.test()
async def test_a_write_that_fails_is_tried_again(env: Env, monkeypatch: Any) -> None:
    async with asked(env) as ask:
        registry = ask.server.context.registry
        update, failed = registry.update, []

        async def once(*given: Any) -> Any:
            if not failed:
                failed.append(given)
                raise StoreUnavailable("for a moment")
            return await update(*given)

        monkeypatch.setattr(registry, "update", once)
        await ask.must("POST", CRDS, definition())
        await env.clock.sleep(5)
        assert failed
        assert conditions(await ask.must("GET", WIDGETS))["Established"][0] == "True"
