"""What importing aiohttp quickly leaves behind."""

import subprocess
import sys

LOOK = """
import ssl
before = ssl.create_default_context
from trireme.kit import preload
preload.aiohttp()
from aiohttp import connector
default = connector._SSL_CONTEXT_VERIFIED
print(default.verify_mode.name, default.check_hostname, len(default.get_ca_certs()))
print(ssl.create_default_context is before)
"""


def test_the_default_context_trusts_nobody_and_others_are_made_as_ever() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["CERT_REQUIRED", "True", "0", "True"]
