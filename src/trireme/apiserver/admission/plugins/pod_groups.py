"""What admission does for PodGroups, which are served with the feature gate GenericWorkload.

Upstream: plugin/pkg/admission/scheduling/podgroupprotection and plugin/pkg/admission/podgroup;
KEP-4671.
"""

from __future__ import annotations

from trireme.api.scheduling.v1alpha2.podgroup import PROTECTION, PodGroup
from trireme.api.scheduling.v1alpha2.workload import Workload
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import gotext
from trireme.machinery.resource import Resource


class PodGroupProtection(PluginBase):
    """Its finalizer is there from the start; the controller takes it off."""

    name = "PodGroupProtection"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is PodGroup and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        meta = attributes.new.metadata
        if PROTECTION not in meta.finalizers:
            meta.finalizers = [*meta.finalizers, PROTECTION]


class PodGroupWorkloadExists(PluginBase):
    """The Workload that it is of is there, and has the template."""

    name = "PodGroupWorkloadExists"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is PodGroup and not subresource and operation == "CREATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        group: PodGroup = attributes.new
        reference = group.spec.podGroupTemplateRef
        named = reference.workload if reference is not None else None
        if named is None:
            return
        workload = context.reader.get(Workload, attributes.namespace, named.workloadName)
        quoted = gotext.quote(named.workloadName)
        if workload is None:
            detail = f"Workload {quoted} not found"
        elif workload.metadata.deletionTimestamp is not None:
            detail = f"Workload {quoted} is being deleted"
        elif not any(
            template.name == named.podGroupTemplateName
            for template in workload.spec.podGroupTemplates or ()
        ):
            template = gotext.quote(named.podGroupTemplateName)
            detail = f"PodGroupTemplate {template} not found in Workload {quoted}"
        else:
            return
        raise forbidden(attributes, f"PodGroup rejected: {detail}")
