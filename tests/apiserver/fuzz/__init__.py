"""Requests at random, from the published OpenAPI and from raw bytes: no 5xx, nothing left behind.

``scripts/fuzz 100000`` is the long run; ``test_fuzz`` the short one. A run is fixed by its seed.
"""
