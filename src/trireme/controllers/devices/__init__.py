"""Controllers of dynamic resource allocation: claims, device taints."""
