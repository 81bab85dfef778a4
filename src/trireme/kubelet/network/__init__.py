"""A pod's network files: hosts, resolv.conf, host name."""
