"""The container runtime, as the kubelet sees it: ``model`` (values), ``contract`` (verbs),
``client`` (gRPC)."""
