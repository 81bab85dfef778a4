"""The way from the API server to kubelets: requests, streams and connections that leave HTTP."""
