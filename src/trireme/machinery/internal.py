"""What upstream's internal types look like as JSON: texts that show objects show them so.

In: values of the API's types. Out: plain values, with every field by its name in Go and in Go's
order, and with null for what is empty. Called by: field errors, ``api.difference``. Upstream:
pkg/apis/*/types.go.
"""

from __future__ import annotations

import base64
import re
from functools import cache
from typing import Any, Final

import msgspec

from trireme.machinery import meta
from trireme.machinery.types import Struct

_JSON: Final = msgspec.json.Encoder()
_SORTED: Final = msgspec.json.Encoder(order="deterministic")
# Where Go's name is not the one in JSON with a capital.
_ACRONYM: Final = re.compile(
    r"(api|aws|ca|cel|cidr|csi|dns|fc|fs|gce|gmsa|grpc|http|iqn|ip|iscsi|json|nfs|os|pkix|rbd|se"
    r"|ssl|tcp|tls|tty|uid|url)(?![a-z])"
)
_NAMES: Final = {
    "cephfs": "CephFS",
    "cidrs": "CIDRs",
    "ips": "IPs",
    "pdName": "PDName",
    "storageos": "StorageOS",
    "wwids": "WWIDs",
}
_OF_ATTRIBUTE: Final = {
    f"{name}{many}": f"{name.capitalize()}Value{many}"
    for name in ("int", "bool", "string", "version")
    for many in ("", "s")
}
_OF_RBD: Final = {
    "monitors": "CephMonitors",
    "image": "RBDImage",
    "pool": "RBDPool",
    "user": "RadosUser",
}
_OF_ISCSI: Final = {
    "chapAuthDiscovery": "DiscoveryCHAPAuth",
    "chapAuthSession": "SessionCHAPAuth",
}
_NAMES_OF: Final = {
    "AzureDiskVolumeSource": {"diskURI": "DataDiskURI"},
    "DeviceAttribute": _OF_ATTRIBUTE,
    "GlusterfsPersistentVolumeSource": {"endpoints": "EndpointsName"},
    "GlusterfsVolumeSource": {"endpoints": "EndpointsName"},
    "ISCSIPersistentVolumeSource": _OF_ISCSI,
    "ISCSIVolumeSource": _OF_ISCSI,
    "RBDPersistentVolumeSource": _OF_RBD,
    "RBDVolumeSource": _OF_RBD,
}
# Fields that come after another one than in the API's type: (the field, the one before it).
_MOVED: Final = {
    "PodSpec": (
        ("setHostnameAsFQDN", "subdomain"),
        ("preemptionPolicy", "priority"),
        ("overhead", "runtimeClassName"),
    ),
    "PodSecurityContext": (("fsGroupChangePolicy", "fsGroup"),),
    "PersistentVolumeSpec": (("quobyte", "rbd"), ("flexVolume", "iscsi")),
    "Volume": (("quobyte", "rbd"),),
}
# Fields of a PodSpec that are its security context's.
_OF_CONTEXT: Final = ("HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers")


def to_internal(value: Any) -> Any:
    """JSON of a struct as Go makes it, also of those in a list; anything else as it is."""
    if isinstance(value, list):
        return [to_internal(item) for item in value]
    return msgspec.Raw(_JSON.encode(form(value))) if isinstance(value, Struct) else value


def form(value: Any) -> Any:
    """A struct and what is in it by Go's names; what is empty is null."""
    if isinstance(value, list):
        return [form(item) for item in value] or None
    if isinstance(value, dict):
        return {key: form(value[key]) for key in sorted(value)} or None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() or None
    if not isinstance(value, Struct):
        return value
    kind = type(value)
    if kind.__module__ == meta.__name__:
        # Types of apimachinery have no other form.
        return msgspec.json.decode(_SORTED.encode(value))
    made: dict[str, Any] = {}
    for name, there in fields(kind):
        if name == "metadata":
            made |= form(getattr(value, name))
        else:
            made[there] = form(getattr(value, name))
    if kind.__name__ == "PodSpec":
        own = {name: made.pop(name) for name in _OF_CONTEXT}
        made["SecurityContext"] = own | (made["SecurityContext"] or {})
    return made


@cache
def fields(kind: type[Struct]) -> list[tuple[str, str]]:
    """The fields of a type with their names in Go, in Go's order."""
    given = list(kind.__struct_fields__)
    if kind.__name__ == "PodSpec":
        given.remove("serviceAccount")
    for name, before in _MOVED.get(kind.__name__, ()):
        given.remove(name)
        given.insert(given.index(before) + 1, name)
    return [(name, go_name(kind.__name__, name)) for name in given]


def go_name(kind: str, name: str) -> str:
    """The name in Go of a field of a type."""
    own = _NAMES_OF.get(kind, {}).get(name) or _NAMES.get(name)
    if own is not None:
        return own
    found = _ACRONYM.match(name)
    return found[0].upper() + name[found.end() :] if found else name[0].upper() + name[1:]
