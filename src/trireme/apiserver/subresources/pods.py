"""Which container of which pod on which node a request for logs or exec means."""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.context import ServerContext
from trireme.apiserver.request import Request
from trireme.machinery import errors


def pod_of(context: ServerContext, request: Request) -> Pod:
    """The pod that the path names."""
    info = request.info
    endpoint = context.endpoint(Pod)
    pod: Pod = endpoint.load(context.registry.get(endpoint, info.namespace, info.name))
    return pod


def container_of(pod: Pod, requested: str) -> str:
    """The container that is meant: the one named, or the only one."""
    spec = pod.spec
    regular = [item.name for item in spec.containers]
    init = [item.name for item in spec.initContainers]
    ephemeral = [item.name for item in spec.ephemeralContainers]
    name = pod.metadata.name
    if not requested:
        if len(regular) == 1:
            return regular[0]
        choose = f"[{' '.join(regular)}]"
        text = f"a container name must be specified for pod {name}, choose one of: {choose}"
        if init:
            text += f" or one of the init containers: [{' '.join(init)}]"
        if ephemeral:
            text += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
        raise errors.bad_request(text)
    if requested not in (*regular, *init, *ephemeral):
        raise errors.bad_request(f"container {requested} is not valid for pod {name}")
    return requested


def node_of(pod: Pod) -> str:
    """The node that the pod is bound to."""
    if not pod.spec.nodeName:
        raise errors.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
    return pod.spec.nodeName
