"""Container log files: ``parse`` (pure), ``read`` (for kubectl logs), ``rotate``."""
