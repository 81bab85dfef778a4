"""Which pods may use images that are on the node already.

In: pulls, with the credentials that they used; pods' secrets. Out: whether an image has to be
pulled again, so that the registry verifies the pod's credentials. Called by images/pull. Rules:
KEP-2535; upstream's pkg/kubelet/images/pullmanager. Records outlive the kubelet; of credentials
they hold hashes only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import checkpoint
from trireme.kubelet.checkpoint import CorruptCheckpoint
from trireme.kubelet.cri.model import AuthConfig
from trireme.kubelet.host.contract import Host

NEVER, PRELOADED = "NeverVerify", "NeverVerifyPreloadedImages"
ALLOWLISTED, ALWAYS = "NeverVerifyAllowlistedImages", "AlwaysVerify"
FILE = "pulled"
# Of one image in one repository.
MAX_SECRETS = 100


class Credential(msgspec.Struct, frozen=True):
    """A secret's part for one registry."""

    uid: str
    namespace: str
    name: str
    hash: str

    def is_of(self, other: Credential) -> bool:
        """The same secret, perhaps rotated."""
        return (self.uid, self.namespace, self.name) == (other.uid, other.namespace, other.name)


class Access(msgspec.Struct):
    """Who may use an image: ``anyone`` where it was pulled without credentials."""

    anyone: bool = False
    credentials: list[Credential] = []


class Records(msgspec.Struct):
    """Images that are being pulled; who may use the pulled ones, by image and repository."""

    pulling: list[str] = []
    pulled: dict[str, dict[str, Access]] = {}


class PulledImages:
    """Of one node. ``folder`` is made at the first pull."""

    def __init__(self, host: Host, folder: str, policy: str, allowlist: Iterable[str]) -> None:
        self._host, self._folder = host, folder
        self._policy, self._allowlist = policy, tuple(allowlist)
        self._records: Records | None = None

    def must_pull(self, image: str, repository: str, id: str, known: list[Credential]) -> bool:
        """Whether ``image``, which is on the node as ``id``, needs the registry's word for a pod
        with these credentials. Raises ``CorruptCheckpoint``."""
        access = self._of().pulled.get(id)
        if not self._is_verified(image, access is not None):
            return False
        of_repository = (access or {}).get(repository)
        if of_repository is None:
            return True
        if of_repository.anyone:
            return False
        for credential in known:
            for used in of_repository.credentials:
                if credential.hash == used.hash or credential.is_of(used):
                    if credential not in of_repository.credentials:
                        self._add(id, repository, credential)
                    return False
        return True

    def begin(self, image: str) -> None:
        """Before a pull: if the kubelet ends meanwhile, the image counts as pulled by it."""
        if image not in self._of().pulling:
            self._of().pulling.append(image)
            self._write()

    def end(self, image: str) -> None:
        if image in self._of().pulling:
            self._of().pulling.remove(image)
            self._write()

    def pulled(self, repository: str, id: str, credential: Credential | None) -> None:
        self._add(id, repository, credential)

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget images that are gone, unless the records cannot be read."""
        try:
            known = self._of().pulled.keys()
        except CorruptCheckpoint:
            return
        gone = known - set(ids)
        for id in gone:
            del self._of().pulled[id]
        if gone:
            self._write()

    def _is_verified(self, image: str, is_known: bool) -> bool:
        if self._policy in (NEVER, ALWAYS):
            return self._policy == ALWAYS
        if self._policy == ALLOWLISTED:
            name = image.partition("@")[0]
            last = name.rpartition("/")[2]
            name = name.removesuffix(f":{last.partition(':')[2]}") if ":" in last else name
            return not any(
                name.startswith(each[:-1]) if each.endswith("/*") else name == each
                for each in self._allowlist
            )
        return is_known or image in self._of().pulling

    def _add(self, id: str, repository: str, credential: Credential | None) -> None:
        access = self._of().pulled.setdefault(id, {}).setdefault(repository, Access())
        if credential is None:
            access.anyone = True
        elif credential not in access.credentials:
            rest = [used for used in access.credentials if not credential.is_of(used)]
            access.credentials = [*rest, credential][-MAX_SECRETS:]
        self._write()

    def _of(self) -> Records:
        if self._records is None:
            found = checkpoint.read(self._host, self._folder, FILE, Records)
            self._records = found or Records()
        return self._records

    def _write(self) -> None:
        self._host.make_dirs(self._folder, 0o700)
        checkpoint.write(self._host, self._folder, FILE, self._records)


def credential(secret: core.Secret, auth: AuthConfig) -> Credential:
    meta = secret.metadata
    digest = hashlib.sha256(msgspec.json.encode(auth)).hexdigest()
    return Credential(meta.uid, meta.namespace, meta.name, digest)
