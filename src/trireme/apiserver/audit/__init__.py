"""What was done, by whom: https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/."""
