"""What an interrupt does to a command that is done."""

from __future__ import annotations

import subprocess
import sys


def test_an_interrupt_after_the_command_changes_nothing() -> None:
    """While the interpreter ends: what the command did stays reported as done."""
    ending = (
        "import atexit, os, signal\n"
        "from trireme.cluster.main import main\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", ending, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout
