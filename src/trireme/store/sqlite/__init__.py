"""The embedded engine: one SQLite file, one writer thread, reads from memory.

``store`` is the engine on the event loop, ``writer`` its thread, ``file`` the schema and the SQL.
"""

from trireme.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
