"""The cluster autoscaler: nodes for pods that fit nowhere, none for pods that fit elsewhere.

In: pods, nodes, budgets; the node groups of a provider. Out: groups that grow and shrink, drained
nodes, events, a status. Begin with ``loop``. Upstream: github.com/kubernetes/autoscaler,
cluster-autoscaler/FAQ.md.
"""
