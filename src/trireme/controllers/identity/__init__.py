"""Service accounts, the root CA of each namespace, and aggregated ClusterRoles."""
