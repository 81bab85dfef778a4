"""AlwaysPullImages: images are pulled for every pod, so that nobody runs what only others may pull.

Off by default. https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#alwayspullimages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import field
from trireme.machinery.field import Path
from trireme.machinery.resource import Resource


class AlwaysPullImages(PluginBase):
    """For pods whose images are new."""

    name = "AlwaysPullImages"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        if not _has_new_images(attributes):
            return
        for holder, attribute, _ in _policies(attributes.new):
            setattr(holder, attribute, "Always")

    def validate(self, attributes: Attributes, context: Context) -> None:
        if not _has_new_images(attributes):
            return
        for holder, attribute, at in _policies(attributes.new):
            policy = getattr(holder, attribute)
            if policy != "Always":
                problem = field.not_supported(at.child(attribute), policy, ["Always"])
                raise forbidden(attributes, str(problem))


def _policies(pod: Pod) -> Iterator[tuple[Any, str, Path]]:
    """What has a pull policy, the policy's name, and where it is."""
    spec, at = pod.spec, field.path("spec")
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for position, container in enumerate(getattr(spec, name)):
            yield container, "imagePullPolicy", at.child(name).index(position)
    for position, volume in enumerate(spec.volumes):
        if volume.image is not None:
            yield volume.image, "pullPolicy", at.child("volumes").index(position).child("image")


def _has_new_images(attributes: Attributes) -> bool:
    old = attributes.old
    return old is None or not _images(attributes.new) <= _images(old)


def _images(pod: Pod) -> set[str]:
    spec = pod.spec
    containers: list[Any] = [*spec.initContainers, *spec.containers, *spec.ephemeralContainers]
    return {container.image for container in containers}
