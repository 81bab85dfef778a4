"""Pod Security: the Pod Security Standards, by labels of namespaces.

``levels`` reads labels, ``checks`` has the rules and since which version each holds, ``evaluate``
runs those of a level and version; ``plugin`` asks them about writes.
https://kubernetes.io/docs/concepts/security/pod-security-admission/.
"""
