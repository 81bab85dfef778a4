"""The files of authentication and authorization, read again as long as the server runs.

In: the ways to read them, from the configuration. Out: other authorities of certificates, other
issuers of tokens and other authorizers, once they are valid and the issuers answer; until then
those before stay. A post-start hook. Upstream reloads the same ones; kubeconfigs of webhooks,
--token-auth-file and the policy file of ABAC not.
"""

from __future__ import annotations

from trireme.apiserver.authn import configuration
from trireme.apiserver.authn.oidc import IssuerError
from trireme.apiserver.authz import configuration as authorizers
from trireme.apiserver.context import ServerContext
from trireme.apiserver.reload import File

# Seconds between two looks.
INTERVAL = 10.0


async def run(context: ServerContext) -> None:
    """Look every ten seconds; returns at once where nothing can change."""
    config, authenticator = context.config, context.authenticator
    authorities, proxy = authenticator.authorities, config.authentication.request_header

    def put_clients(data: bytes) -> None:
        authorities.put(data, authorities.proxy)

    def put_proxy(data: bytes) -> None:
        authorities.put(authorities.clients, data)

    async def put_configuration(data: bytes) -> None:
        await authenticator.reconfigure(configuration.decode(data))

    async def put_authorizers(data: bytes) -> None:
        await context.authorizer.reconfigure(authorizers.decode(data))

    files: list[File] = []
    if config.read_client_authority is not None:
        files.append(File(config.read_client_authority, put_clients, config.client_authority))
    if proxy is not None and proxy.read is not None:
        files.append(File(proxy.read, put_proxy, proxy.authority))
    if config.authentication.read is not None:
        files.append(File(config.authentication.read, put_configuration, None))
    if config.authorization.read is not None:
        files.append(File(config.authorization.read, put_authorizers, None))
    await _reach(context)
    while files:
        for file in files:
            try:
                await file.look()
            except (OSError, ValueError, IssuerError) as error:
                context.env.log.error("a configuration file was not reloaded: %s", error)
        await context.env.clock.sleep(INTERVAL)


async def _reach(context: ServerContext) -> None:
    """Look for the issuers' keys before anybody needs them."""
    issuers = context.authenticator.issuers
    if issuers is not None:
        try:
            await issuers.reach()
        except IssuerError as error:
            context.env.log.error("oidc authenticator: initializing plugin: %s", error)
