"""What every cluster has from the start: namespaces, RBAC policy, priority classes, its Service."""
