"""The kubelet's HTTPS server: who may (``auth``), logs, streams, statistics (``app`` serves)."""
