"""Volumes of CSI drivers: staged once on a node, published to each pod."""
