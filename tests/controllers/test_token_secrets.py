"""Tokens in Secrets: made for an account, accepted as the account, gone with it or unused."""

from __future__ import annotations

import asyncio

import msgspec

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.core.v1.references import ObjectReference
from trireme.apiserver import chain
from trireme.apiserver.controllers import token_use
from trireme.apiserver.request import Request
from trireme.controllers.settings import Settings
from trireme.domain import service_account_tokens as tokens
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.testing import virtual

SETTINGS = Settings(root_ca="PEM", service_account_key=harness.KEY, legacy_token_period=86400)


def secret(name: str = "t", account: str = "robot") -> core.Secret:
    annotations = {tokens.NAME: account}
    metadata = meta.ObjectMeta(name=name, namespace="default", annotations=annotations)
    return core.Secret(metadata=metadata, type=tokens.TYPE)


def robot() -> core.ServiceAccount:
    return core.ServiceAccount(metadata=meta.ObjectMeta(name="robot", namespace="default"))


async def who(world: harness.World, token: str) -> tuple[int, str]:
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    headers = {"authorization": f"Bearer {token}"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    request = Request("POST", path, "", headers, msgspec.json.encode(review))
    answer = await chain.handle(world.server, request)
    body = msgspec.json.decode(answer.body)
    return answer.status, body["status"]["userInfo"]["username"] if answer.status == 201 else ""


async def token_of(world: harness.World, name: str = "t") -> str:
    found = await world.client.get(core.Secret, name, "default")
    return found.data["token"].decode()


@virtual.test()
async def test_a_token_is_made_and_accepted(env: Env) -> None:
    async with harness.world(env, settings=SETTINGS, plays="") as world:
        made = await world.client.create(robot())
        await world.client.create(secret())
        await env.clock.sleep(1)
        found = await world.client.get(core.Secret, "t", "default")
        assert found.metadata.annotations[tokens.UID] == made.metadata.uid
        assert (found.data["ca.crt"], found.data["namespace"]) == (b"PEM", b"default")
        token = found.data["token"].decode()
        assert await who(world, token) == (201, "system:serviceaccount:default:robot")
        # A copy that is not the Secret's is worth nothing.
        await env.clock.sleep(11)
        other = {"data": {"token": "eA=="}}
        await world.client.patch(core.Secret, "t", "default", other)
        assert (await who(world, token))[0] == 401


@virtual.test()
async def test_a_token_goes_with_its_account(env: Env) -> None:
    async with harness.world(env, settings=SETTINGS, plays="") as world:
        await world.client.create(robot())
        await world.client.create(secret())
        await world.client.create(secret("of-nobody", "nobody"))
        await env.clock.sleep(1)
        token = await token_of(world)
        await world.client.delete(core.ServiceAccount, "robot", "default")
        # An account of the same name is another one.
        await world.client.create(robot())
        await env.clock.sleep(1)
        left = (await world.client.list(core.Secret, "default")).items
        assert [item.metadata.name for item in left if item.type == tokens.TYPE] == []
        await env.clock.sleep(11)
        assert (await who(world, token))[0] == 401


@virtual.test()
async def test_use_is_written_down_and_what_nobody_uses_goes(env: Env) -> None:
    here = ("serviceaccount-token-controller", "legacy-serviceaccount-token-cleaner-controller")
    async with harness.world(env, settings=SETTINGS, plays="", controllers=here) as world:
        account = robot()
        account.secrets = [ObjectReference(name="t"), ObjectReference(name="used")]
        await world.client.create(account)
        for name in ("t", "used", "by-hand"):
            await world.client.create(secret(name))
        tracking = asyncio.create_task(token_use.track(world.server.context))
        try:
            for _ in range(6):
                await env.clock.sleep(43200)
                await who(world, await token_of(world, "used"))
            found = {
                item.metadata.name: item
                for item in (await world.client.list(core.Secret, "default")).items
            }
            assert found["used"].metadata.labels[tokens.LAST_USED]
            assert tokens.INVALID_SINCE not in found["used"].metadata.labels
            assert tokens.INVALID_SINCE not in found["by-hand"].metadata.labels
            assert tokens.INVALID_SINCE in found["t"].metadata.labels
            assert (await who(world, await token_of(world, "t")))[0] == 401
            for _ in range(5):
                await env.clock.sleep(43200)
                await who(world, await token_of(world, "used"))
            names = {
                item.metadata.name
                for item in (await world.client.list(core.Secret, "default")).items
            }
            assert {"used", "by-hand"} <= names
            assert "t" not in names
        finally:
            tracking.cancel()
