"""A token is renewed at 80 % of its life, or after a day, and not all at once."""

from __future__ import annotations

import pytest

from trireme.api.authentication import v1 as authentication
from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime import tokens
from trireme.testing import virtual


@pytest.mark.parametrize(("life", "renewed"), [(600, 480.0), (3600, 2880.0), (172800, 86400.0)])
@virtual.test()
async def test_when_it_is_renewed(env: Env, serving, life: int, renewed: float) -> None:
    async with serving(env) as client:
        account = core.ServiceAccount(metadata=meta.ObjectMeta(name="a", namespace="default"))
        await client.create(account)
        spec = authentication.TokenRequestSpec(expirationSeconds=life)
        issued = await tokens.request(client, env, "default", "a", spec)
        now = env.clock.now()
        assert issued.token.count(".") == 2
        assert issued.expires - now == life
        assert renewed - 10.0 <= issued.renew - now <= renewed
        other = await tokens.request(client, env, "default", "a", spec)
        assert other.renew != issued.renew
