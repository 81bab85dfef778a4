"""Token Secrets that were made for accounts by themselves, long ago, and that nobody uses.

In: Secrets, accounts, pods, once a day. Out: a label that makes the token invalid when it was not
used for a year, and the deletion a year later. Run by ``manager``. Upstream:
pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go; KEP-2799.
"""

from __future__ import annotations

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.client.codec import Unreadable
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import pod_references
from trireme.domain import service_account_tokens as tokens
from trireme.machinery import errors, meta, time
from trireme.runtime.periodic import Periodic

DAY = 24 * 3600.0


def make(context: ControllerContext) -> Periodic:
    """Looks once a day."""
    secrets = context.informers.of(Secret, field_selector=f"type={tokens.TYPE}")
    accounts = context.informers.of(ServiceAccount)
    pods = context.informers.of(Pod)
    client, clock, log = context.client, context.env.clock, context.env.log

    async def clean() -> None:
        namespace, name = tokens.TRACKING
        try:
            tracking = await client.get(ConfigMap, name, namespace)
        except (errors.ApiError, OSError, Unreadable) as error:
            log.debug("since when use is written down is not known: %s", error)
            return
        since = tokens.day(tracking.data.get(tokens.SINCE, ""))
        limit = clock.now() - context.settings.legacy_token_period
        if since is None or since + DAY > limit:
            return
        mounted = {
            (pod.metadata.namespace, named)
            for pod in pods.list()
            for named in pod_references.secrets(pod)
        }
        for secret in secrets.list():
            where = secret.metadata
            if (where.namespace, where.name) not in mounted and _is_unused(secret, limit):
                try:
                    await _retire(secret, limit)
                except (errors.ApiError, OSError, Unreadable) as error:
                    log.warning("secret %s/%s: %s", where.namespace, where.name, error)

    def _is_unused(secret: Secret, limit: float) -> bool:
        where = secret.metadata
        created = time.parse(where.creationTimestamp or "1970-01-01T00:00:00Z")
        if created >= limit or where.deletionTimestamp is not None:
            return False
        used = where.labels.get(tokens.LAST_USED)
        if used is not None and (tokens.day(used) is None or used >= tokens.date(limit)):
            return False
        account = accounts.get(where.namespace, where.annotations.get(tokens.NAME, ""))
        # Only the account's own list says that nobody made it by hand.
        return (
            account is not None
            and tokens.is_of(secret, account)
            and any(item.name == where.name for item in account.secrets)
        )

    async def _retire(secret: Secret, limit: float) -> None:
        where = secret.metadata
        since = where.labels.get(tokens.INVALID_SINCE, "")
        if tokens.day(since) is None:
            labels = {tokens.INVALID_SINCE: tokens.date(clock.now())}
            patch = {"metadata": {"uid": where.uid, "labels": labels}}
            await client.patch(Secret, where.name, where.namespace, patch)
        elif since < tokens.date(limit):
            conditions = meta.Preconditions(resourceVersion=where.resourceVersion)
            options = meta.DeleteOptions(preconditions=conditions)
            try:
                await client.delete(Secret, where.name, where.namespace, options)
            except errors.ApiError as error:
                if not errors.is_not_found(error) and not errors.is_conflict(error):
                    raise

    return Periodic(clean, DAY, context.env, informers=[secrets, accounts, pods])


CONTROLLER = Definition(
    "legacy-serviceaccount-token-cleaner-controller",
    make,
    account="legacy-service-account-token-cleaner",
)
