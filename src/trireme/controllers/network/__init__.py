"""Which pods answer for a Service."""
