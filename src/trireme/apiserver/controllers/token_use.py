"""When tokens in Secrets were used last: a label with the day, once a day.

In: what ``authn/legacy_tokens`` accepted. Out: labels of Secrets, and a ConfigMap that says since
when use is written down. A post-start hook. Upstream: pkg/serviceaccount/legacy.go,
pkg/controlplane/controller/legacytokentracking.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.secret import Secret
from trireme.apiserver.context import ServerContext
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.domain import service_account_tokens as tokens
from trireme.machinery import errors, meta
from trireme.store.contract import KeyValue, StoreError

# Seconds between two writes.
INTERVAL = 30.0


async def track(context: ServerContext) -> None:
    """Write down the use of tokens, for ever."""
    await context.bootstrapped.wait()
    news = context.authenticator.legacy.news
    while True:
        news.clear()
        try:
            await _begin(context)
            await _write_down(context)
        except (errors.ApiError, StoreError) as problem:
            context.env.log.warning("the use of tokens is not written down: %s", problem)
            news.set()
        await context.env.clock.sleep(INTERVAL)
        await news.wait()


async def _begin(context: ServerContext) -> None:
    """Say since when, where nobody does."""
    namespace, name = tokens.TRACKING
    known = context.reader.get(ConfigMap, namespace, name)
    today = tokens.date(context.env.clock.now())
    endpoint = context.endpoint(ConfigMap)
    call = Call(SELF, manager=MANAGER)
    if known is None:
        metadata = meta.ObjectMeta(name=name, namespace=namespace)
        made = ConfigMap(metadata=metadata, data={tokens.SINCE: today})
        try:
            await context.registry.create(endpoint, namespace, made, call)
        except errors.ApiError as error:
            if not errors.is_already_exists(error) and not errors.is_not_found(error):
                raise
    elif tokens.day(known.data.get(tokens.SINCE, "")) is None:

        def correct(_old: Any, item: KeyValue) -> Any:
            newest = endpoint.load(item)
            newest.data = {**newest.data, tokens.SINCE: today}
            newest.metadata.resourceVersion = ""
            return newest

        await context.registry.update(endpoint, namespace, name, correct, call)


async def _write_down(context: ServerContext) -> None:
    endpoint = context.endpoint(Secret)
    now = context.env.clock.now()
    today, tomorrow = tokens.date(now), tokens.date(now + 24 * 3600.0)
    used = context.authenticator.legacy.used
    for namespace, name in sorted(used):
        used.discard((namespace, name))
        secret = context.reader.get(Secret, namespace, name)
        if secret is None or secret.metadata.labels.get(tokens.LAST_USED) in (today, tomorrow):
            continue

        def label(_old: Any, item: KeyValue) -> Any:
            newest = endpoint.load(item)
            newest.metadata.labels = {**newest.metadata.labels, tokens.LAST_USED: today}
            newest.metadata.resourceVersion = ""
            return newest

        try:
            await context.registry.update(
                endpoint, namespace, name, label, Call(SELF, manager=MANAGER, any_version=True)
            )
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
