"""Rules of taints on devices.

Called by: ResourceSlice and DeviceTaintRule. Upstream: pkg/apis/resource/validation; KEP-5055.
"""

from __future__ import annotations

from trireme.api import rules
from trireme.api.resource.v1 import checks
from trireme.api.resource.v1.slice_types import DeviceTaint
from trireme.api.rules import Errors
from trireme.machinery import names
from trireme.machinery.field import Path


def taint(errs: Errors, at: Path, item: DeviceTaint, old: DeviceTaint | None = None) -> None:
    """A key, perhaps a value, and an effect, which is only validated when it is new."""
    checks.label_key(errs, at.child("key"), item.key)
    if item.value:
        rules.syntax(errs, at, "value", item.value, names.is_label_value)
    if old is None or old.effect != item.effect:
        rules.declared(errs, at, item, "effect")
