"""Cluster DNS: names of Services and pods, by the Kubernetes DNS specification; the rest forwarded.

``zone`` holds what is named (from Services, EndpointSlices, namespaces), ``answer`` decides what a
question gets (pure), ``chain`` orders the parts a question passes, ``server`` listens.
"""
