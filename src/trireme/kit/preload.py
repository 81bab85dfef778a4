"""Faster imports, for processes whose start-up time matters. To be called first."""

from __future__ import annotations

from typing import Any


def aiohttp() -> None:
    """Import aiohttp without the machine's certificate bundle.

    At its import aiohttp makes a default TLS context, for which it reads all CAs of the system:
    some 50 ms. All our connections have contexts of their own; the default one that is left after
    this trusts no CA.
    """
    import ssl

    make = ssl.create_default_context

    def bare(*_: Any, **__: Any) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    ssl.create_default_context = bare
    try:
        import aiohttp.connector  # noqa: F401
    finally:
        ssl.create_default_context = make
