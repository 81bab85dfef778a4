"""Environment variables for Services. Pure.

In: Services of the pod's namespace and the ``kubernetes`` Service. Out: name to value. Called by
env/compute. Rules: concepts/services-networking/service#environment-variables.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core import v1 as core

# The API server's Service: in every namespace, whatever enableServiceLinks says.
MASTER = ("default", "kubernetes")


def variables(services: Iterable[core.Service], namespace: str, *, links: bool) -> dict[str, str]:
    selected: dict[str, core.Service] = {}
    for service in services:
        meta = service.metadata
        if service.spec.clusterIP in ("", "None") or not service.spec.ports:
            continue
        if links and meta.namespace == namespace:
            selected[meta.name] = service
        elif (meta.namespace, meta.name) == MASTER:
            selected.setdefault(meta.name, service)
    result: dict[str, str] = {}
    for name in sorted(selected):
        result.update(_of_service(selected[name]))
    return result


def _of_service(service: core.Service) -> dict[str, str]:
    prefix, ip = _upper(service.metadata.name), service.spec.clusterIP
    first = service.spec.ports[0]
    result = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(first.port)}
    for port in service.spec.ports:
        if port.name:
            result[f"{prefix}_SERVICE_PORT_{_upper(port.name)}"] = str(port.port)
    host = f"[{ip}]" if ":" in ip else ip
    for port in service.spec.ports:
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{host}:{port.port}"
        if port is first:
            result[f"{prefix}_PORT"] = url
        of_port = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        result[of_port] = url
        result[f"{of_port}_PROTO"] = protocol.lower()
        result[f"{of_port}_PORT"] = str(port.port)
        result[f"{of_port}_ADDR"] = ip
    return result


def _upper(name: str) -> str:
    return name.replace("-", "_").upper()
