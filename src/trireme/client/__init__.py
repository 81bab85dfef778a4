"""Access to an API server: ``Client``, its transports, the watch machine, kubeconfig files."""

from trireme.client.client import Client

__all__ = ["Client"]
