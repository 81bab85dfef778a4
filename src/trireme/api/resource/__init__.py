"""API group resource.k8s.io."""
