"""NetworkPolicy: allowed traffic to and from the pods that it selects.

In: NetworkPolicies. Called by: the write path, server-side printing. Upstream:
pkg/apis/networking/validation, pkg/registry/networking/networkpolicy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from trireme.api import addresses, columns, rules
from trireme.api.networking.v1 import ipblock
from trireme.api.networking.v1.ipblock import IPBlock
from trireme.api.rules import Errors
from trireme.machinery import field, labels, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    IntOrString,
    Struct,
    always,
    constant,
)

PolicyType = Annotated[str, Enum(("Egress", "Ingress"))]


class NetworkPolicyPeer(Struct):
    podSelector: meta.LabelSelector | None = None
    namespaceSelector: meta.LabelSelector | None = None
    ipBlock: IPBlock | None = None


class NetworkPolicyPort(Struct):
    protocol: Annotated[str | None, Default("TCP")] = None
    port: IntOrString | None = None
    endPort: Int32 | None = None


class NetworkPolicyEgressRule(Struct):
    ports: Annotated[list[NetworkPolicyPort], Atomic()] = []
    to: Annotated[list[NetworkPolicyPeer], Atomic()] = []


class NetworkPolicyIngressRule(Struct):
    ports: Annotated[list[NetworkPolicyPort], Atomic()] = []
    from_: Annotated[list[NetworkPolicyPeer], Atomic()] = msgspec.field(
        default_factory=list, name="from"
    )


class NetworkPolicySpec(Struct):
    podSelector: meta.LabelSelector = always(meta.LabelSelector)
    ingress: Annotated[list[NetworkPolicyIngressRule], Atomic()] = []
    egress: Annotated[list[NetworkPolicyEgressRule], Atomic()] = []
    policyTypes: Annotated[list[PolicyType], Atomic()] = []


class NetworkPolicy(Struct):
    kind: str = constant("NetworkPolicy")
    apiVersion: str = constant("networking.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: NetworkPolicySpec = always(NetworkPolicySpec)


_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def defaults(obj: NetworkPolicy) -> None:
    """policyTypes: Ingress, and Egress if there are egress rules."""
    if not obj.spec.policyTypes:
        obj.spec.policyTypes = ["Ingress", "Egress"] if obj.spec.egress else ["Ingress"]


def validate(new: NetworkPolicy) -> Errors:
    """Selectors, ports and peers."""
    return _spec(new.spec, ())


def validate_update(new: NetworkPolicy, old: NetworkPolicy) -> Errors:
    """As on create; networks that were there may stay."""
    known = [text for _, block in _blocks(old) for text in (block.cidr, *block.except_)]
    return _spec(new.spec, known)


def _spec(spec: NetworkPolicySpec, known: list[str] | tuple[str, ...]) -> Errors:
    errs: Errors = []
    at = field.path("spec")
    rules.label_selector(errs, at.child("podSelector"), spec.podSelector)
    for position, rule in enumerate(spec.ingress):
        here = at.child("ingress").index(position)
        _ports(errs, here.child("ports"), rule.ports)
        _peers(errs, here.child("from"), rule.from_, known)
    for position, going in enumerate(spec.egress):
        here = at.child("egress").index(position)
        _ports(errs, here.child("ports"), going.ports)
        _peers(errs, here.child("to"), going.to, known)
    if len(spec.policyTypes) > len(_TYPES):
        detail = "may not specify more than two policyTypes"
        errs.append(field.invalid(at.child("policyTypes"), spec.policyTypes, detail))
        return errs
    for position, item in enumerate(spec.policyTypes):
        if item not in _TYPES:
            where = at.child("policyTypes").index(position)
            errs.append(field.not_supported(where, item, _TYPES))
    return errs


def _ports(errs: Errors, at: Path, items: list[NetworkPolicyPort]) -> None:
    for position, item in enumerate(items):
        here = at.index(position)
        if item.protocol is not None and item.protocol not in _PROTOCOLS:
            where = here.child("protocol")
            errs.append(field.not_supported(where, item.protocol, _PROTOCOLS))
        port, end = item.port, item.endPort
        if port is None or isinstance(port, str):
            if end is not None:
                state = "not specified" if port is None else "non-numeric"
                detail = f"may not be specified when `port` is {state}"
                errs.append(field.invalid(here.child("endPort"), end, detail))
            if port is not None:
                rules.add(errs, here.child("port"), port, names.is_port_name(port))
            continue
        rules.add(errs, here.child("port"), port, names.is_port_number(port))
        if end is not None:
            if end < port:
                detail = "must be greater than or equal to `port`"
                errs.append(field.invalid(here.child("endPort"), port, detail))
            rules.add(errs, here.child("endPort"), end, names.is_port_number(end))


def _peers(
    errs: Errors, at: Path, items: list[NetworkPolicyPeer], known: list[str] | tuple[str, ...]
) -> None:
    for position, item in enumerate(items):
        here = at.index(position)
        rules.label_selector(errs, here.child("podSelector"), item.podSelector)
        rules.label_selector(errs, here.child("namespaceSelector"), item.namespaceSelector)
        selected = item.podSelector is not None or item.namespaceSelector is not None
        if item.ipBlock is not None:
            ipblock.check(errs, here.child("ipBlock"), item.ipBlock, known)
            if selected:
                detail = "may not specify both ipBlock and another peer"
                errs.append(field.forbidden(here, detail))
        elif not selected:
            errs.append(field.required(here, "must specify a peer"))


def _blocks(obj: NetworkPolicy) -> Iterator[tuple[Path, IPBlock]]:
    """Every block of addresses and where it stands."""
    at = field.path("spec")
    sides = [("ingress", "from", [rule.from_ for rule in obj.spec.ingress])]
    sides.append(("egress", "to", [rule.to for rule in obj.spec.egress]))
    for side, peers, each in sides:
        for position, items in enumerate(each):
            for number, peer in enumerate(items):
                if peer.ipBlock is not None:
                    here = at.child(side).index(position).child(peers).index(number)
                    yield here.child("ipBlock"), peer.ipBlock


def warnings(new: NetworkPolicy, _old: NetworkPolicy | None) -> list[str]:
    """Networks that are not in canonical form."""
    found: list[str] = []
    for at, block in _blocks(new):
        found += addresses.cidr_warnings(at.child("cidr"), block.cidr)
        for position, text in enumerate(block.except_):
            found += addresses.cidr_warnings(at.child("except").index(position), text)
    return found


RESOURCE = Resource(
    type=NetworkPolicy,
    plural="networkpolicies",
    short_names=("netpol",),
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Pod-Selector",
            lambda obj: labels.format_struct(obj.spec.podSelector),
            "The pods that the policy is about.",
        ),
        columns.AGE,
    ),
)
