"""The kubelet's HTTPS server: authn and authz (``auth``), logs, streams, statistics (``app``)."""
