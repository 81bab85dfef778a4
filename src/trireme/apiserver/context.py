"""What answering a request needs of the server: the parts that verbs and subresources use.

Made once by ``server``, which composes the parts; everything that answers a request, and every
post-start hook, is given this value and nothing else of the server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from trireme.apiserver.allocators.ports import Ports
from trireme.apiserver.audit.auditor import Auditor
from trireme.apiserver.authn.union import UnionAuthenticator
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.cache.indexes import Indexes
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.cache.views import Views
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.encryption.run import Encryption
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.fairness.levels import Levels
from trireme.apiserver.gates import Gates
from trireme.apiserver.hooks import HttpsHooks
from trireme.apiserver.monitoring.access import AccessMetrics
from trireme.apiserver.monitoring.requests import RequestMetrics
from trireme.apiserver.monitoring.server import Storage
from trireme.apiserver.monitoring.watches import WatchMetrics
from trireme.apiserver.nodes.contract import Kubelets
from trireme.apiserver.registry import Registry
from trireme.apiserver.remote.routes import Routes
from trireme.apiserver.remote.servers import Servers
from trireme.apiserver.resource_metrics.scrape import Scraper
from trireme.apiserver.served import ServedKinds
from trireme.kit.env import Env
from trireme.kit.turns import Turns
from trireme.runtime.serving.indicators import Indicators
from trireme.store.contract import Store


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The parts of one API server; nothing in it is global."""

    config: ApiServerConfig
    env: Env
    gates: Gates
    store: Store
    served: ServedKinds
    reader: Reader
    views: Views
    indexes: Indexes
    authenticator: UnionAuthenticator
    authorizer: UnionAuthorizer
    # None where the store is not this server's own (tests).
    encryption: Encryption | None
    metrics: RequestMetrics
    access: AccessMetrics
    watches: WatchMetrics
    storage: Storage
    # The health checks, for /metrics/slis.
    indicators: Indicators
    # When it was made: seconds since 1970.
    began: float
    # None where nothing is audited.
    audit: Auditor | None
    registry: Registry
    # The node ports of Services.
    ports: Ports
    # Webhooks: of conversion and of admission.
    hooks: HttpsHooks
    kubelets: Kubelets
    scraper: Scraper
    # Aggregated API servers.
    servers: Servers
    routes: Routes
    turns: Turns
    # The priority levels; None where API Priority and Fairness is off.
    fairness: Levels | None
    # Set once the objects that every cluster has are there.
    bootstrapped: asyncio.Event
    # Set once the server is to end: it is not ready any more.
    stopping: asyncio.Event

    def endpoint(self, kind: type) -> Endpoint:
        """The endpoint of a type that is built in."""
        return self.served.by_type[kind]
