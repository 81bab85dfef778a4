"""Hosts: the machines of a local cluster, each one a network namespace with its own containerd.

In: a cluster's name and its number of nodes.  Out: nodes with an address, a pod network, a CRI
socket and a way to start processes in them; `teardown` removes all.  Called by `cluster.up` and
the command line.  Read in this order:

    names      every mark that Trireme leaves on a host, from (cluster, node)      pure
    plan       addresses and places of a whole cluster                             pure
    render     containerd's and CNI's configuration                                pure
    network    switch, namespaces, links and routes, through netlink
    cgroups    both cgroup versions behind four verbs
    spawn      one process into a node's namespace and cgroup
    containerd one runtime for each node
    local      the above in order: `LocalHosts`
    teardown   removes everything, by mark alone
"""
