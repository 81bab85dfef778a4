"""User-Agents of our own components.

The API server names the owner of fields by what stands before the slash, so components are called
as upstream's are. In: a component, or the user that it acts as. Out: the header's value.
"""

from __future__ import annotations

_CONTROLLER = "system:serviceaccount:kube-system:"


def of(component: str) -> str:
    """``kubelet`` or ``kube-controller-manager/deployment-controller``."""
    name, _, part = component.partition("/")
    return f"{name}/trireme ({part})" if part else f"{name}/trireme"


def of_user(user: str) -> str:
    """For a client in the same process, by the user that it acts as."""
    if user.startswith(_CONTROLLER):
        return of(f"kube-controller-manager/{user.removeprefix(_CONTROLLER)}")
    if user.startswith("system:node:"):
        return of(f"kubelet/{user.removeprefix('system:node:')}")
    if user.startswith("system:kube-"):
        return of(user.removeprefix("system:"))
    return of("trireme")
