"""What is refused is refused in upstream's words, with objects shown as its internal types.

``refusals.json`` holds writes in their order, and the status and the message that upstream's API
server (v1.36.2) gave for each: changes of pods, of volumes and claims, of what may not change, and
of what is there twice.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.apiserver.test_reading import api

WRITES = json.loads(Path(__file__).with_name("refusals.json").read_bytes())
ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def test_every_refusal_says_what_upstream_says() -> None:
    async with api() as ask:
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        await ask("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        for write in WRITES:
            answer = await ask.raw(
                write["method"], write["path"], write["body"], media=write.get("media", "")
            )
            got = json.loads(answer.body).get("message", "") if answer.status > 299 else ""
            message = UID.sub("U", got).replace(ONLY, "(ONLY)")
            assert (answer.status, message) == (write["status"], write["message"]), write
