"""Liveness, readiness and startup probes: ``decide`` (pure), ``run``, ``manager``."""
