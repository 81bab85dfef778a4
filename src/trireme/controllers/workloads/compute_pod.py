"""A new pod of an owner, made from a template. Pure; for the controllers of workloads.

Upstream: GetPodFromTemplate in pkg/controller/controller_utils.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.domain import owners
from trireme.machinery import names
from trireme.machinery.meta import ObjectMeta


def pod_of(owner: Any, template: PodTemplateSpec) -> Pod:
    """A new pod of the owner; its name is generated."""
    prefix = f"{owner.metadata.name}-"
    if names.is_dns1123_subdomain(names.mask_trailing_dash(prefix)):
        prefix = owner.metadata.name
    metadata = ObjectMeta(
        generateName=prefix,
        namespace=owner.metadata.namespace,
        labels=dict(template.metadata.labels),
        annotations=dict(template.metadata.annotations),
        finalizers=list(template.metadata.finalizers),
        ownerReferences=[owners.reference(owner)],
    )
    return Pod(metadata=metadata, spec=template.spec)
