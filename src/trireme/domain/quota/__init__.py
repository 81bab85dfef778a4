"""Resource quotas: what counts, how much, and whether one more object fits. Pure.

https://kubernetes.io/docs/concepts/policy/resource-quotas/.
"""
