"""Revisioned keys and bytes: one contract, several engines.

``contract`` is what callers see. ``memory.MemoryStore`` and ``sqlite.SqliteStore`` fulfil it.
"""
