"""API group autoscaling."""
