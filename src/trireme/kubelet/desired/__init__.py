"""The desired state: the node's pods, and the objects that they refer to, from the API."""
