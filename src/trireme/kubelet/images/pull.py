"""The image manager: ensures that an image is on the node before a container is created from it.

In: a pod, an image, a pull policy. Out: the runtime's image, or ``ImageFailure`` with the waiting
reason. Called by sync/execute. Rules: reference "Images"; concepts/containers/images.
Pulls are serialized by default, so that pods on a slow registry start one after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import msgspec

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.checkpoint import CorruptCheckpoint
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import Runtime, RuntimeFailure
from trireme.kubelet.events import Events
from trireme.kubelet.images import credentials, names, pulled
from trireme.kubelet.images.pulled import PulledImages

ERR_PULL = "ErrImagePull"
BACK_OFF = "ImagePullBackOff"
NEVER_PULL = "ErrImageNeverPull"
INVALID_NAME = "InvalidImageName"
INSPECT = "ImageInspectError"
FAILURE_SECONDS = 2.0
SPECIAL = ("RegistryUnavailable", "SignatureValidationFailed")


class ImageFailure(Exception):
    """The container waits with ``reason``; ``retry_at`` (epoch seconds) during a backoff."""

    def __init__(self, reason: str, message: str, retry_at: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_at = retry_at


class ImageRequest(msgspec.Struct, frozen=True):
    """One image for one container of a pod; ``where`` is the event's field path."""

    pod: core.Pod
    container: str
    image: str
    policy: str
    secrets: tuple[core.Secret, ...]
    sandbox: model.SandboxConfig


class Images:
    """The image manager of one node. ``parallel``: how many are pulled at a time; 0: any number."""

    def __init__(
        self,
        env: Env,
        runtime: Runtime,
        events: Events,
        pulled: PulledImages,
        parallel: int = 1,
    ) -> None:
        self._env = env
        self._runtime = runtime
        self._events = events
        self._pulled = pulled
        self._backoff = Backoff()
        self._last_error: dict[tuple[str, str], ImageFailure] = {}
        self._limit: AbstractAsyncContextManager[None] = (
            asyncio.Semaphore(parallel) if parallel else nullcontext()
        )

    async def ensure(self, request: ImageRequest) -> model.Image:
        """The image, pulled if the policy says so. Raises ``ImageFailure``."""
        try:
            image = names.with_tag(request.image)
        except ValueError as problem:
            message = f'Failed to apply default image tag "{request.image}": {problem}'
            self._event(request, "Warning", "InspectFailed", message)
            raise ImageFailure(INVALID_NAME, message) from problem
        if request.policy != "Always":
            found = await self._inspect(request, image)
            if found is not None and not self._must_pull(request, image, found):
                self._event(
                    request,
                    "Normal",
                    "Pulled",
                    f'Container image "{request.image}" already present on machine and can '
                    "be accessed by the pod",
                )
                return found
            if request.policy == "Never":
                message = (
                    f'Container image "{request.image}" is not present with pull policy of Never'
                )
                self._event(request, "Warning", NEVER_PULL, message)
                raise ImageFailure(NEVER_PULL, message)
        reference = await self._pull(request, image)
        found = await self._inspect(request, reference)
        if found is None:
            raise ImageFailure(INSPECT, f'image "{request.image}" is gone after its pull')
        return found

    def _must_pull(self, request: ImageRequest, image: str, found: model.Image) -> bool:
        """Whether the registry has to verify that the pod may use the image on the node."""
        repository = names.parse(image).repository
        try:
            known = credentials.matching_secrets(request.secrets, repository)
            given = [pulled.credential(secret, auth) for secret, auth in known]
            return self._pulled.must_pull(image, repository, found.id, given)
        except (CorruptCheckpoint, OSError, ValueError) as problem:
            self._env.log.error("records of pulled images: %s", problem)
            return True

    def forget(self, uid: str) -> None:
        for key in [key for key in self._last_error if key[0] == uid]:
            del self._last_error[key]
        self._backoff.collect(self._env.clock.now())

    async def _inspect(self, request: ImageRequest, image: str) -> model.Image | None:
        try:
            return await self._runtime.image_status(image)
        except RuntimeFailure as failure:
            message = f'Failed to inspect image "{request.image}": {failure}'
            self._event(request, "Warning", "InspectFailed", message)
            raise ImageFailure(INSPECT, message) from failure

    async def _pull(self, request: ImageRequest, image: str) -> str:
        key = (request.pod.metadata.uid, image)
        now = self._env.clock.now()
        if self._backoff.waiting_since_update(key, now):
            last = self._last_error.get(key)
            if last is not None and last.retry_at is not None and now < last.retry_at:
                raise last
            message = f'Back-off pulling image "{request.image}"'
            self._event(request, "Normal", "BackOff", message)
            if last is not None:
                message = f"{message}: {last.reason}: {last.message}"
            raise ImageFailure(BACK_OFF, message, self._backoff.until_since_update(key))
        self._last_error.pop(key, None)
        self._event(request, "Normal", "Pulling", f'Pulling image "{request.image}"')
        started = self._env.clock.monotonic()
        async with self._limit:
            began = self._env.clock.monotonic()
            try:
                reference = await self._pull_with_credentials(request, image)
            except (RuntimeFailure, ValueError) as failure:
                raise self._failed(request, key, failure) from failure
        ended = self._env.clock.monotonic()
        found = await self._inspect(request, reference)
        self._event(
            request,
            "Normal",
            "Pulled",
            f'Successfully pulled image "{request.image}" in {_duration(ended - began)} '
            f"({_duration(ended - started)} including waiting). "
            f"Image size: {found.size if found else 0} bytes.",
        )
        return reference

    async def _pull_with_credentials(self, request: ImageRequest, image: str) -> str:
        spec = model.ImageSpec(image=image, annotations=dict(request.pod.metadata.annotations))
        repository = names.parse(image).repository
        known = credentials.matching_secrets(request.secrets, repository)
        last: RuntimeFailure | None = None
        tries: list[tuple[core.Secret, model.AuthConfig] | None] = [*known] or [None]
        self._record(self._pulled.begin, image)
        for each in tries:
            auth = each[1] if each is not None else None
            try:
                reference = await self._runtime.pull_image(spec, auth, request.sandbox)
            except RuntimeFailure as failure:
                last = failure
                continue
            found = await self._inspect(request, reference)
            if found is not None:
                used = pulled.credential(*each) if each is not None else None
                self._record(self._pulled.pulled, repository, found.id, used)
            self._record(self._pulled.end, image)
            return reference
        self._record(self._pulled.end, image)
        assert last is not None
        raise last

    def _record(self, write: Callable[..., None], *arguments: object) -> None:
        """Without a record the next pod's credentials are verified."""
        try:
            write(*arguments)
        except (CorruptCheckpoint, OSError) as problem:
            self._env.log.error("records of pulled images: %s", problem)

    def _failed(
        self, request: ImageRequest, key: tuple[str, str], failure: RuntimeFailure | ValueError
    ) -> ImageFailure:
        self._event(
            request, "Warning", "Failed", f'Failed to pull image "{request.image}": {failure}'
        )
        now = self._env.clock.now()
        self._backoff.next(key, now, now)
        said = failure.message if isinstance(failure, RuntimeFailure) else ""
        reason = next((name for name in SPECIAL if said.startswith(name)), ERR_PULL)
        # ErrImagePull stays in the status for a moment, then ImagePullBackOff.
        last = ImageFailure(reason, str(failure), now + FAILURE_SECONDS)
        self._last_error[key] = last
        return last

    def _event(self, request: ImageRequest, kind: str, reason: str, message: str) -> None:
        self._events.container(request.pod, request.container, kind, reason, message)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{int(seconds * 1000)}ms"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
