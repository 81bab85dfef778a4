"""``pods/<name>/proxy``, ``services/<name>/proxy``, ``nodes/<name>/proxy``: HTTP passed on.

The name may say more than the object: ``name:port`` or ``scheme:name:port``. A Service's request
goes to one of its ready pods, a node's to its kubelet. Upstream: ResourceLocation of
pkg/registry/core/{pod,service,node};
https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/.
"""

from __future__ import annotations

from typing import NamedTuple

from trireme.api.core.v1.endpoints import EndpointAddress, Endpoints
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.service import Service
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request
from trireme.apiserver.subresources import connections, forward
from trireme.machinery import errors, gotext


class Target(NamedTuple):
    """What a name in a proxy path means. ``port`` is a number, a name, or empty."""

    scheme: str
    name: str
    port: str


def parse(text: str, kind: str) -> Target:
    """``name``, ``name:port`` or ``scheme:name:port``; 400 for anything else."""
    scheme, name, port = "", text, ""
    parts = text.split(":")
    if len(parts) == 2:
        name, port = parts
    elif len(parts) == 3:
        scheme, name, port = parts
    if not name or ":" in name or scheme not in ("http", "https", ""):
        raise errors.bad_request(f"invalid {kind} request {gotext.quote(text)}")
    return Target(scheme or "http", name, port)


async def pod(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a pod's address."""
    target, info = parse(request.info.name, "pod"), request.info
    await _admit(context, request, endpoint)
    found: Pod = endpoint.load(context.registry.get(endpoint, info.namespace, target.name))
    ports = [port for container in found.spec.containers for port in container.ports]
    port = target.port
    if not port:
        port = str(ports[0].containerPort) if ports else ""
    elif not _is_number(port):
        named = next((item for item in ports if item.name == port), None)
        if named is None:
            raise errors.bad_request(f"pod {target.name} has no port {gotext.quote(port)}")
        port = str(named.containerPort)
    if not found.status.podIPs:
        raise errors.bad_request("address not allowed")
    return await _pass_on(context, request, target.scheme, found.status.podIPs[0].ip, port)


async def service(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a ready pod behind a Service."""
    target, info = parse(request.info.name, "service"), request.info
    await _admit(context, request, endpoint)
    port = target.port
    if _is_number(port):
        found: Service = endpoint.load(context.registry.get(endpoint, info.namespace, target.name))
        name = next((item.name for item in found.spec.ports if item.port == int(port)), None)
        if name is None:
            raise errors.service_unavailable(
                f"no service port {int(port)} found for service {gotext.quote(target.name)}"
            )
        port = name
    endpoints = context.reader.get(Endpoints, info.namespace, target.name)
    if endpoints is None:
        raise errors.not_found("services", target.name)
    choices = [
        (address.ip, item.port)
        for subset in endpoints.subsets
        for item in subset.ports
        if item.name == port
        for address in subset.addresses
        if _is_pods(context, info.namespace, address)
    ]
    if not choices:
        named = info.name if endpoints.subsets else target.name
        raise errors.service_unavailable(
            f"no endpoints available for service {gotext.quote(named)}"
        )
    ip, number = context.env.rng.choice(choices)
    return await _pass_on(context, request, target.scheme, ip, str(number))


async def node(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """To a node's kubelet, or to another port of the node."""
    target = parse(request.info.name, "node")
    await _admit(context, request, endpoint)
    host, kubelet_port = context.kubelets.address(target.name)
    if target.port in ("", str(kubelet_port)):
        return await _pass_on(context, request, "https", host, str(kubelet_port), target.name)
    return await _pass_on(context, request, target.scheme, host, target.port)


async def _admit(context: ServerContext, request: Request, endpoint: Endpoint) -> None:
    if request.headers.get("upgrade", ""):
        raise errors.bad_request("upgraded connections are not passed on by this proxy")
    await connections.admit(context, request, endpoint)


async def _pass_on(
    context: ServerContext, request: Request, scheme: str, host: str, port: str, node: str = ""
) -> AnyReply:
    if port and not (_is_number(port) and int(port) < 65536):
        message = f"dial tcp: address {port}: invalid port"
        raise errors.service_unavailable(f"error trying to reach service: {message}")
    origin = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    return await forward.pass_on(context, request, f"{origin}:{port}" if port else origin, node)


def _is_pods(context: ServerContext, namespace: str, address: EndpointAddress) -> bool:
    """Whether an endpoint is, as it says, a pod of the Service's namespace: whoever may write
    endpoints may not thereby lead the API server anywhere else."""
    ref = address.targetRef
    if ref is None or ref.namespace != namespace:
        return False
    found = context.reader.get(Pod, namespace, ref.name)
    return found is not None and any(item.ip == address.ip for item in found.status.podIPs)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


_VERBS = ("create", "delete", "get", "options", "patch", "update")
POD = SubresourceHandler("pods", "proxy", dict.fromkeys(_VERBS, pod))
SERVICE = SubresourceHandler("services", "proxy", dict.fromkeys(_VERBS, service))
NODE = SubresourceHandler("nodes", "proxy", dict.fromkeys(_VERBS, node))
