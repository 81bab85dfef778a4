"""The plugins, one file each; their order is ``admission/order.py``."""
