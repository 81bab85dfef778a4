"""Answers to questions about the cluster's names. Pure.

In: the zone, a name and a type. Out: an ``Answer``: records, or NXDOMAIN, or NODATA (the name
exists without such records). None: the name is not in this zone. Rules: the Kubernetes DNS
specification 1.1.0.
"""

from __future__ import annotations

import ipaddress

import msgspec

from trireme.dns.zone import Backend, Named, Port, Zone

VERSION = "1.1.0"
TTL = 5
SRV_WEIGHT = 100
# CNAMEs of one answer, as in CoreDNS; a longer or circular chain is cut.
MAX_CNAMES = 8


class Record(msgspec.Struct, frozen=True):
    """One record. ``data`` is the address, name or text; for SRV (priority, weight, port, name)."""

    name: str
    type: str
    data: str | tuple[int, int, int, str]
    ttl: int = TTL


class Answer(msgspec.Struct, frozen=True):
    """``exists`` False is NXDOMAIN. ``zone`` names whose SOA a negative answer carries.

    ``target`` is the name that the last CNAME points to, where it is still to be looked up.
    """

    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    exists: bool = True
    zone: str = ""
    target: str = ""

    def is_negative(self, type_: str) -> bool:
        """Whether there are no records of the type: then the zone's SOA goes with the answer."""
        if not self.exists:
            return True
        if self.target:
            return False
        ends_in_cname = bool(self.records) and self.records[-1].type == "CNAME"
        return not self.records or (ends_in_cname and type_ not in ("CNAME", "ANY"))


def answer(zone: Zone, name: str, type_: str) -> Answer | None:
    """Answer a question; ``name`` is lower case, without the final dot.

    CNAMEs are followed as long as they stay in the zone (RFC 1034, 4.3.2); the code is that of the
    last name (RFC 6604). A ``target`` that is left is outside of the zone, for the forwarder.
    """
    found = _lookup(zone, name, type_)
    if found is None or not found.target:
        return found
    records, names = list(found.records), {name}
    while found.target:
        target = found.target
        if target in names or len(names) > MAX_CNAMES:
            return Answer(tuple(records), zone=zone.domain)
        names.add(target)
        following = _lookup(zone, target, type_)
        if following is None:
            return Answer(tuple(records), zone=zone.domain, target=target)
        records += following.records
        found = following
    return msgspec.structs.replace(found, records=tuple(records))


def _lookup(zone: Zone, name: str, type_: str) -> Answer | None:
    """What the zone holds under exactly this name."""
    if name == zone.domain or name.endswith("." + zone.domain):
        below = name.removesuffix(zone.domain).rstrip(".")
        labels = below.split(".") if below else []
        return _in_zone(zone, name, labels, type_)
    if name.endswith((".in-addr.arpa", ".ip6.arpa")):
        return _reverse(zone, name, type_)
    return None


def _in_zone(zone: Zone, name: str, labels: list[str], type_: str) -> Answer:
    missing = Answer(exists=False, zone=zone.domain)
    empty = Answer(zone=zone.domain)
    if not labels:
        if type_ == "NS":
            return Answer((Record(name, "NS", f"ns.dns.{zone.domain}"),), zone=zone.domain)
        return empty
    if labels == ["dns-version"]:
        if type_ in ("TXT", "ANY"):
            return Answer((Record(name, "TXT", VERSION),), zone=zone.domain)
        return empty
    kind = labels[-1]
    if kind not in ("svc", "pod") or len(labels) == 1:
        return empty if labels in (["svc"], ["pod"]) else missing
    namespace, rest = labels[-2], labels[:-2]
    if not zone.has_namespace(namespace):
        return missing
    if not rest:
        return empty
    if kind == "pod":
        return _pod(zone, name, rest, type_)
    return _service(zone, name, namespace, rest, type_)


def _pod(zone: Zone, name: str, rest: list[str], type_: str) -> Answer:
    """``10-1-2-3.<namespace>.pod``: the address is in the name."""
    address = _dashed(rest[0]) if len(rest) == 1 else None
    if address is None:
        return Answer(exists=False, zone=zone.domain)
    record_type = "AAAA" if ":" in address else "A"
    if type_ not in (record_type, "ANY"):
        return Answer(zone=zone.domain)
    return Answer((Record(name, record_type, address),), zone=zone.domain)


def _service(zone: Zone, name: str, namespace: str, rest: list[str], type_: str) -> Answer:
    missing = Answer(exists=False, zone=zone.domain)
    service = zone.service(namespace, rest[-1])
    if service is None:
        return missing
    if service.external:
        if len(rest) > 1:
            return missing
        record = Record(name, "CNAME", service.external)
        target = "" if type_ in ("CNAME", "ANY") else service.external.lower()
        return Answer((record,), zone=zone.domain, target=target)
    backends = zone.backends(service) if service.headless else []
    if service.headless and not backends:
        # A headless Service without endpoints: NXDOMAIN.
        return missing
    if len(rest) == 1:
        addresses = [item.address for item in backends] or list(service.addresses)
        return _addresses(zone, name, addresses, type_) or _all_ports(
            zone, name, service, backends, type_
        )
    if len(rest) == 2:
        matching = [item for item in backends if item.host == rest[0]]
        if not matching:
            return missing
        return _addresses(zone, name, [item.address for item in matching], type_) or Answer(
            zone=zone.domain
        )
    if len(rest) == 3 and rest[0].startswith("_") and rest[1].startswith("_"):
        return _one_port(zone, name, service, backends, (rest[0][1:], rest[1][1:]), type_)
    return missing


def _addresses(zone: Zone, name: str, addresses: list[str], type_: str) -> Answer | None:
    """Address records of the family asked for; None for a question of another type."""
    if type_ not in ("A", "AAAA", "ANY"):
        return None
    records = []
    for address in addresses:
        family = "AAAA" if ":" in address else "A"
        if type_ in (family, "ANY"):
            records.append(Record(name, family, address))
    return Answer(tuple(records), zone=zone.domain)


def _all_ports(
    zone: Zone, name: str, service: Named, backends: list[Backend], type_: str
) -> Answer:
    if type_ != "SRV":
        return Answer(zone=zone.domain)
    return _srv(zone, name, _targets(zone, service, backends, None))


def _one_port(
    zone: Zone,
    name: str,
    service: Named,
    backends: list[Backend],
    named: tuple[str, str],
    type_: str,
) -> Answer:
    targets = _targets(zone, service, backends, named)
    if not targets:
        return Answer(exists=False, zone=zone.domain)
    if type_ in ("A", "AAAA"):
        addresses = [address for _, _, address in targets]
        return _addresses(zone, name, addresses, type_) or Answer(zone=zone.domain)
    if type_ not in ("SRV", "ANY"):
        return Answer(zone=zone.domain)
    return _srv(zone, name, targets)


def _targets(
    zone: Zone, service: Named, backends: list[Backend], named: tuple[str, str] | None
) -> list[tuple[int, str, str]]:
    """(port, target name, address) for each port and each address behind a Service."""

    def fits(port: Port) -> bool:
        return named is None or (port.name, port.protocol) == named

    base = f"{service.name}.{service.namespace}.svc.{zone.domain}"
    if service.headless:
        return [
            (port.number, f"{item.host}.{base}", item.address)
            for item in backends
            for port in item.ports
            if fits(port)
        ]
    return [
        (port.number, base, address)
        for port in service.ports
        if fits(port)
        for address in service.addresses
    ]


def _srv(zone: Zone, name: str, targets: list[tuple[int, str, str]]) -> Answer:
    weight = max(SRV_WEIGHT // len(targets), 1) if targets else 0
    pairs = dict.fromkeys((port, target) for port, target, _ in targets)
    records = [Record(name, "SRV", (0, weight, port, target)) for port, target in pairs]
    extra = dict.fromkeys((target, address) for _, target, address in targets)
    additional = [
        Record(target, "AAAA" if ":" in address else "A", address) for target, address in extra
    ]
    return Answer(tuple(records), tuple(additional), zone=zone.domain)


def _reverse(zone: Zone, name: str, type_: str) -> Answer | None:
    address = _from_arpa(name)
    if address is None:
        return None
    names = zone.by_address(address)
    if not names:
        return None
    if type_ not in ("PTR", "ANY"):
        return Answer(zone=name)
    return Answer(tuple(Record(name, "PTR", f"{item}.{zone.domain}") for item in names), zone=name)


def _dashed(label: str) -> str | None:
    """The address that a label such as ``10-1-2-3`` or ``2001-db8--1`` stands for."""
    for text in (label.replace("-", "."), label.replace("-", ":")):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return None


def _from_arpa(name: str) -> str | None:
    labels = name.split(".")[:-2][::-1]
    if name.endswith(".in-addr.arpa"):
        text = ".".join(labels)
    else:
        digits = "".join(labels)
        text = ":".join(digits[at : at + 4] for at in range(0, len(digits), 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
