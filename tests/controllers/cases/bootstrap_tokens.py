"""Bootstrap tokens: cluster-info has a signature for each, and none when they have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.controllers.identity import bootstrap_signer
from trireme.domain import bootstrap_tokens as tokens
from trireme.kit import jws
from trireme.machinery import meta, time

SECRET = "0123456789abcdef"
CONTROLLERS = ("*", "bootstrap-signer-controller", "token-cleaner-controller")


def token(
    token_id: str, ends: float | None = None, data: Mapping[str, str] | None = None
) -> core.Secret:
    values = {
        tokens.ID: token_id,
        tokens.SECRET: SECRET,
        tokens.SIGNING: "true",
        tokens.EXPIRATION: time.format(ends) if ends is not None else "",
        **(data or {}),
    }
    name = tokens.PREFIX + token_id
    return core.Secret(
        metadata=meta.ObjectMeta(name=name, namespace=tokens.NAMESPACE),
        type=tokens.TYPE,
        data={key: value.encode() for key, value in values.items() if value},
    )


def info(content: str = "kind: Config\n") -> core.ConfigMap:
    namespace, name = bootstrap_signer.INFO
    metadata = meta.ObjectMeta(name=name, namespace=namespace)
    return core.ConfigMap(metadata=metadata, data={"kubeconfig": content})


async def create(w: World) -> None:
    await w.client.create(info())
    await w.client.create(token("aaaaaa"))
    await w.client.create(token("bbbbbb", w.env.clock.now() + 7200.0))
    await w.client.create(token("cccccc", data={tokens.SIGNING: ""}))
    await w.until(lambda: len(w.list(core.Secret)) == 3)


async def shorten(w: World) -> None:
    """The second token ends in a minute."""
    name = tokens.PREFIX + "bbbbbb"
    ends = token("bbbbbb", w.env.clock.now() + 60.0).data[tokens.EXPIRATION]
    live = await w.client.get(core.Secret, name, tokens.NAMESPACE)
    live.data[tokens.EXPIRATION] = ends
    await w.client.update(live)


def signed(*ids: str) -> Any:
    def done(w: World) -> bool:
        found = w.find(core.ConfigMap, "cluster-info", "kube-public")
        if found is None:
            return False
        signatures = {f"jws-kubeconfig-{i}": jws.detached("kind: Config\n", i, SECRET) for i in ids}
        return dict(found.data) == {"kubeconfig": "kind: Config\n", **signatures}

    return done


def cleaned(w: World) -> bool:
    return [item.metadata.name[-6:] for item in w.list(core.Secret)] == ["aaaaaa", "cccccc"]


STEPS = (
    Step(act=create, done=signed("aaaaaa", "bbbbbb")),
    Step(act=shorten, done=lambda w: signed("aaaaaa")(w) and cleaned(w)),
)
CASE = (
    Case(
        name="bootstrap-signer",
        controller="bootstrap-signer-controller",
        steps=STEPS,
        options={"controllers": CONTROLLERS},
    ),
    Case(
        name="token-cleaner",
        controller="token-cleaner-controller",
        steps=STEPS,
        options={"controllers": CONTROLLERS},
    ),
)
