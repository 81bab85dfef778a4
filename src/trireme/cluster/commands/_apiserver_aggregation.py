"""Flags of the API server's aggregation: how it reaches aggregated API servers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups, Refused

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig


@dataclass(frozen=True)
class Options:
    certificate: bytes = b""
    key: bytes = b""
    reject_redirects: bool = True


_GROUPS: Final[Groups] = {
    "Aggregation": (
        Flag(
            "proxy-client-cert-file",
            "certificate",
            kinds.CERTIFICATES,
            "The certificate by which aggregated API servers know this one; default: one of"
            " its own.",
        ),
        Flag("proxy-client-key-file", "key", kinds.PRIVATE_KEY, "Its key."),
        Flag(
            "aggregator-reject-forwarding-redirect",
            "reject_redirects",
            kinds.BOOL,
            "Answer 502 where an aggregated API server redirects.",
        ),
        Refused(
            "enable-aggregator-routing",
            "requests go to a Service's endpoints, never to its cluster IP",
            accepted=("true",),
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    from trireme.kit.pki import Pair

    if bool(options.certificate) != bool(options.key):
        raise ValueError("--proxy-client-cert-file and --proxy-client-key-file go together")
    settings = dataclasses.replace(config.aggregator, reject_redirects=options.reject_redirects)
    if options.certificate:
        settings = dataclasses.replace(settings, client=Pair(options.certificate, options.key))
    return dataclasses.replace(config, aggregator=settings)


AREA: Final = Area(_GROUPS, Options(), _configure)
