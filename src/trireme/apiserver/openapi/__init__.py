"""The published schema: /openapi/v3."""
