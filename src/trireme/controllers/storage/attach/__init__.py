"""Attach and detach: volumes of CSI drivers reach the nodes of the pods that use them."""
