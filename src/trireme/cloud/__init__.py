"""The cloud: what a cluster has from whoever runs its machines, and the controllers for it.

In: a provider (``contract.Cloud``), the API. Out: nodes with the labels and addresses that the
provider gives them, load balancers of Services, routes to pods. Read ``contract`` first.
"""
