"""The observed state: pods in the container runtime."""
