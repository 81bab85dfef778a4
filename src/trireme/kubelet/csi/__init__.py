"""CSI drivers on a node: their registration, and the calls of the Container Storage Interface."""
