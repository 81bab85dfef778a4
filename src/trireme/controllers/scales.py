"""The ``scale`` subresource of whatever kind an object refers to.

In: an apiVersion and kind, a namespace and a name. Out: ``Scale``. Used by the disruption
controller and the autoscaler. What is served is asked for once in 30 seconds at most, as upstream's
REST mapper is reset.
"""

from __future__ import annotations

from typing import Final

from trireme.api.autoscaling.v1.scale import Scale
from trireme.client import discovery
from trireme.client.client import Client
from trireme.client.served import Served
from trireme.kit.env import Env

RESYNC: Final = 30.0


class NotServed(LookupError):
    """Nothing of the kind is served, or it cannot be scaled."""


class Scales:
    """Scales of all kinds, as the client's user."""

    def __init__(self, client: Client, env: Env) -> None:
        self._client = client
        self._clock = env.clock
        self._served: list[Served] = []
        self._fresh_until = -1.0

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Scale:
        """The object's scale. NotServed; ApiError 404 where there is no such object."""
        resource = await self._resource(api_version, kind)
        interface = self._client.metadata(resource.group, resource.version, resource.plural)
        return await interface.sub("GET", name, namespace, "scale", None, Scale)

    async def update(
        self, api_version: str, kind: str, namespace: str, name: str, scale: Scale
    ) -> Scale:
        """Write the object's scale."""
        resource = await self._resource(api_version, kind)
        interface = self._client.metadata(resource.group, resource.version, resource.plural)
        return await interface.sub("PUT", name, namespace, "scale", scale, Scale)

    async def _resource(self, api_version: str, kind: str) -> Served:
        now = self._clock.monotonic()
        if now >= self._fresh_until:
            self._served = await discovery.served(self._client, preferred=False)
            self._fresh_until = now + RESYNC
        group, _, version = api_version.rpartition("/")
        of_kind = [item for item in self._served if (item.group, item.kind) == (group, kind)]
        if not of_kind:
            raise NotServed(f'no matches for kind "{kind}" in version "{api_version}"')
        found = next((item for item in of_kind if item.version == version), of_kind[0])
        if "scale" not in found.subresources:
            named = f"{found.plural}.{group}" if group else found.plural
            raise NotServed(f"{named} does not implement the scale subresource")
        return found
