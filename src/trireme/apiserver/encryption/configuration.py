"""EncryptionConfiguration v1: decoded strictly and validated as upstream does. Pure.

In: the file's content. Out: rules, in their order. ValueError with all that is wrong. Upstream:
apiserver ``pkg/apis/apiserver/validation/validation_encryption.go``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from urllib.parse import urlsplit

from trireme.machinery import configuration, field, time
from trireme.machinery.configuration import Configuration
from trireme.machinery.field import FieldError, Path

_AES, _SECRETBOX = (16, 24, 32), (32,)
_OVERLAP = (
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not "
    "allowed as they will be masked"
)
_INTERNAL = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")


class Key(Configuration, frozen=True):
    name: str = ""
    secret: str = ""


class Keys(Configuration, frozen=True):
    keys: list[Key] = []


class KmsConfiguration(Configuration, frozen=True):
    apiVersion: str = "v1"
    name: str = ""
    cachesize: int | None = None
    endpoint: str = ""
    timeout: str = "3s"


class IdentityConfiguration(Configuration, frozen=True):
    """It has no fields."""


class Provider(Configuration, frozen=True):
    aesgcm: Keys | None = None
    aescbc: Keys | None = None
    secretbox: Keys | None = None
    identity: IdentityConfiguration | None = None
    kms: KmsConfiguration | None = None


class Rule(Configuration, frozen=True):
    resources: list[str] = []
    providers: list[Provider] = []


class EncryptionConfiguration(Configuration, frozen=True):
    resources: list[Rule] = []


def decode(data: bytes) -> list[Rule]:
    """ValueError."""
    group, kind = "apiserver.config.k8s.io", "EncryptionConfiguration"
    found = configuration.decode(data, group, kind, ("v1",), EncryptionConfiguration)
    problems = list(_validate(found.resources))
    if problems:
        raise ValueError(field.join(problems))
    _check_order(found.resources)
    return found.resources


def group_resource(text: str) -> tuple[str, str]:
    """Resource and group of ``resource.group``."""
    resource, _, group = text.partition(".")
    return resource, group


def secret(key: Key) -> bytes:
    return base64.b64decode(key.secret)


def seconds(text: str) -> float:
    return time.parse_duration(text)


def _validate(rules: list[Rule]) -> Iterator[FieldError]:
    root = field.path("resources")
    if not rules:
        yield field.required(root, "at least one resources is required")
    names: set[str] = set()
    for index, rule in enumerate(rules):
        at, providers = (root.index(index).child(part) for part in ("resources", "providers"))
        if not rule.resources:
            yield field.required(at, f"at least one {at} is required")
        yield from _overlaps(rule.resources, at)
        for position, name in enumerate(rule.resources):
            problem = _name_problem(name)
            if problem:
                yield field.invalid(at.index(position), name, problem)
        if not rule.providers:
            yield field.required(providers, f"at least one {providers} is required")
        for position, provider in enumerate(rule.providers):
            yield from _provider(provider, providers.index(position), names)


def _overlaps(names: list[str], at: Path) -> Iterator[FieldError]:
    parsed = [group_resource(name) for name in names]
    if len(set(parsed)) < len(parsed):
        yield field.invalid(at, names, "the same resource cannot be specified multiple times")
    for index, one in enumerate(parsed):
        for other in parsed[:index] + parsed[index + 1 :]:
            masked = one == ("*", "*") or (one[1] == other[1] and "*" in (one[0], other[0]))
            if masked and one != other:
                yield field.invalid(at, names, _OVERLAP)
                return


def _name_problem(name: str) -> str:
    resource, group = group_resource(name)
    if name.lower() != name:
        return "resource name should not contain capital letters"
    if name == "*":
        return (
            "use '*.' to encrypt all the resources from core API group or *.* to encrypt all "
            "resources"
        )
    if name in _INTERNAL:
        return "resources which do not have REST API/s cannot be encrypted"
    if group == "events.k8s.io":
        return (
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use "
            "'events' instead in the config file"
        )
    if group == "extensions":
        return "'extensions' group has been removed and cannot be used for encryption"
    if group == "*" and resource != "*":
        return "encrypting the same resource across groups is not supported"
    return ""


def _provider(provider: Provider, at: Path, names: set[str]) -> Iterator[FieldError]:
    given = [name for name in Provider.__struct_fields__ if getattr(provider, name) is not None]
    if not given:
        yield field.invalid(
            at,
            "{}",
            "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, "
            "Secretbox, Identity",
        )
    elif len(given) > 1:
        yield field.invalid(
            at,
            ", ".join(given),
            "more than one provider specified in a single element, should split into different "
            "list elements",
        )
    if provider.kms is not None:
        yield from _kms(provider.kms, at.child("kms"), names)
        names.add(provider.kms.name)
    for name, lengths in (("aesgcm", _AES), ("aescbc", _AES), ("secretbox", _SECRETBOX)):
        keys: Keys | None = getattr(provider, name)
        if keys is not None:
            yield from _keys(keys.keys, at.child(name).child("keys"), lengths)


def _keys(keys: list[Key], at: Path, lengths: tuple[int, ...]) -> Iterator[FieldError]:
    if not keys:
        yield field.required(at, "at least one keys is required")
    for index, key in enumerate(keys):
        here = at.index(index)
        if not key.name:
            yield field.required(here.child("name"), "name is a mandatory field for a key")
        if not key.secret:
            yield field.required(here.child("secret"), "secret is a mandatory field for a key")
            continue
        try:
            size = len(base64.b64decode(key.secret, validate=True))
        except (binascii.Error, ValueError):
            detail = "secrets must be base64 encoded"
        else:
            if size in lengths:
                continue
            expected = " ".join(map(str, lengths))
            detail = (
                f"secret is not of the expected length, got {size}, expected one of [{expected}]"
            )
        yield field.invalid(here.child("secret"), "REDACTED", detail)


def _kms(kms: KmsConfiguration, at: Path, names: set[str]) -> Iterator[FieldError]:
    name = at.child("name")
    if not kms.name:
        yield field.required(name, "name is a mandatory field for a provider")
    if kms.apiVersion != "v1" and ":" in kms.name:
        detail = f"invalid KMS provider name {kms.name}, must not contain ':'"
        yield field.invalid(name, kms.name, detail)
    if kms.name in names:
        detail = f"duplicate KMS provider name {kms.name}, names must be unique"
        yield field.invalid(name, kms.name, detail)
    try:
        positive = seconds(kms.timeout) > 0
    except ValueError:
        positive = False
    if not positive:
        yield field.invalid(at.child("timeout"), kms.timeout, "timeout should be a positive value")
    endpoint, scheme = at.child("endpoint"), urlsplit(kms.endpoint).scheme
    if not kms.endpoint:
        yield field.invalid(endpoint, "", "endpoint is a mandatory field for a kms")
    elif scheme != "unix":
        detail = f'unsupported scheme "{scheme}" for KMS provider, only unix is supported'
        yield field.invalid(endpoint, kms.endpoint, detail)
    if kms.apiVersion != "v1" and kms.cachesize is not None:
        detail = "cachesize is not supported in v2"
        yield field.invalid(at.child("cachesize"), kms.cachesize, detail)
    if kms.apiVersion not in ("v1", "v2"):
        detail = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported"
        yield field.invalid(at.child("apiVersion"), kms.apiVersion, detail)


def _check_order(rules: list[Rule]) -> None:
    """A rule that an earlier one leaves nothing of is an error."""
    before: set[tuple[str, str]] = set()
    for rule in rules:
        if any(item.kms is not None and item.kms.apiVersion == "v1" for item in rule.providers):
            raise ValueError(
                "KMSv1 is deprecated and will only receive security updates going forward. Use "
                "KMSv2 instead."
            )
        for name in rule.resources:
            resource, group = group_resource(name)
            for mask in (("*", group), ("*", "*")):
                if mask in before:
                    raise ValueError(
                        f'resource "{_text(resource, group)}" is masked by earlier rule '
                        f'"{_text(*mask)}"'
                    )
            before.add((resource, group))


def _text(resource: str, group: str) -> str:
    if (resource, group) == ("*", ""):
        return "*."
    return f"{resource}.{group}" if group else resource
