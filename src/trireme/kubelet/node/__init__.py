"""The Node object: ``machine`` (facts), ``status`` (pure), ``agent`` (registers and reports)."""
