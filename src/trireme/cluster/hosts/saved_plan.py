"""A cluster's plan as a file in its state folder, so that it keeps its addresses.

Called by ``local``, which makes the plan, and by the supervisor, which reads it.
"""

from pathlib import Path

import msgspec

from trireme.cluster.hosts.plan import HostsPlan

_FILE = "hosts.json"


def read(state_dir: str) -> HostsPlan | None:
    """The saved plan, None if there is none."""
    try:
        data = Path(state_dir, _FILE).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(data, type=HostsPlan)


def write(plan: HostsPlan) -> None:
    """Writes the plan atomically; its folder must exist."""
    path = Path(plan.state_dir, _FILE)
    path.with_suffix(".new").write_bytes(msgspec.json.encode(plan))
    path.with_suffix(".new").rename(path)
