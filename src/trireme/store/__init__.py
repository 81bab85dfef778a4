"""Revisioned keys and bytes: one contract, several engines.

``contract`` is what callers see. ``memory.MemoryStore``, ``sqlite.SqliteStore`` and
``etcd.EtcdStore`` fulfil it.
"""
