"""Admission: what looks at a write, may change it, and may refuse it. The order is ``order.py``."""
