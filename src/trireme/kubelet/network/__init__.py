"""What a pod's files say of the network: hosts, resolv.conf, host name."""
