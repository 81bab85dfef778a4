"""The wire's protobuf form of built-in kinds: ``k8s\\0``, an envelope, and the object's message."""
