"""Encryption at rest: ``configuration`` (the file), ``transformers`` (which provider for which
kind), ``providers`` (one file each), ``run`` (made at the start, reloaded, checked)."""
