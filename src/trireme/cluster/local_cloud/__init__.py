"""The cloud of a local cluster: machines are network namespaces of this host, load balancers are
routes of it.

In: the cluster's settings and the plan of its hosts. Out: a ``cloud.contract.Cloud``, made by the
composition root for the cluster's own manager. Everything that it makes on the host goes with the
cluster: routes with their link, namespaces and cgroups by their mark.
"""
