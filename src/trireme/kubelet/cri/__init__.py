"""The container runtime interface: ``model`` (values), ``contract`` (verbs),
``client`` (gRPC)."""
