"""Cluster DNS: names of Services and pods, by the Kubernetes DNS specification; the rest forwarded.

``zone`` holds the names (from Services, EndpointSlices, namespaces), ``answer`` computes the answer
to a question (pure), ``chain`` orders the plugins that a question passes, ``server`` listens.
"""
