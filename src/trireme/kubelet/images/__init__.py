"""Images: ``names`` and ``credentials`` (pure), ``pull``."""
