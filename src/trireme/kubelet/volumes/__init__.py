"""A pod's volumes: one plugin per file in ``plugins``, ``manager`` mounts and removes them."""
