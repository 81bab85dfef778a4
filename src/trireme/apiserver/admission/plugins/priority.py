"""Priority: the name of a pod's priority class becomes a number; at most one class is the default.

https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.scheduling.v1.priorityclass import PriorityClass
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.cache.changes import Changes
from trireme.apiserver.cache.reader import Reader
from trireme.machinery.resource import Resource

# What a pod has when no class is the default.
NO_CLASS = PriorityClass(value=0, preemptionPolicy="PreemptLowerPriority")


class Priority(PluginBase):
    """For pods and priority classes that are created or updated."""

    name = "Priority"

    def __init__(self) -> None:
        self._changes: Changes | None = None
        self._default: PriorityClass | None = None

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return (
            resource.type in (Pod, PriorityClass)
            and not subresource
            and operation in ("CREATE", "UPDATE")
        )

    def admit(self, attributes: Attributes, context: Context) -> None:
        if attributes.resource.type is not Pod:
            return
        pod: Pod = attributes.new
        if attributes.operation == "UPDATE":
            _keep(pod, attributes.old)
            return
        priority_class = self._class_of(attributes, context.reader, pod)
        spec, value, policy = pod.spec, priority_class.value, priority_class.preemptionPolicy
        if spec.priority is not None and spec.priority != value:
            raise forbidden(
                attributes,
                f"the integer value of priority ({spec.priority}) must not be provided in pod "
                f"spec; priority admission controller computed {value} from the given "
                "PriorityClass name",
            )
        spec.priorityClassName, spec.priority = priority_class.metadata.name, value
        if policy is None:
            return
        if spec.preemptionPolicy is not None and spec.preemptionPolicy != policy:
            raise forbidden(
                attributes,
                f"the string value of PreemptionPolicy ({spec.preemptionPolicy}) must not be "
                f"provided in pod spec; priority admission controller computed {policy} from the "
                "given PriorityClass name",
            )
        spec.preemptionPolicy = policy

    def _class_of(self, attributes: Attributes, reader: Reader, pod: Pod) -> PriorityClass:
        name = pod.spec.priorityClassName
        if name:
            found = reader.get(PriorityClass, "", name)
            if found is None:
                raise forbidden(attributes, f"no PriorityClass with name {name} was found")
            return found
        if self._changes is None:
            self._changes = reader.changes(PriorityClass)
        if self._changes.any():
            self._default = _default_class(reader)
        return self._default or NO_CLASS

    def validate(self, attributes: Attributes, context: Context) -> None:
        if attributes.resource.type is not PriorityClass or not attributes.new.globalDefault:
            return
        default = _default_class(context.reader)
        if default is None:
            return
        name = default.metadata.name
        if attributes.operation == "CREATE" or name != attributes.new.metadata.name:
            raise forbidden(
                attributes,
                f"PriorityClass {name} is already marked as default. Only one default can exist",
            )


def _keep(pod: Pod, old: Pod) -> None:
    """An update may leave out what this plugin wrote."""
    if pod.spec.priority is None:
        pod.spec.priority = old.spec.priority
    if pod.spec.preemptionPolicy is None:
        pod.spec.preemptionPolicy = old.spec.preemptionPolicy


def _default_class(reader: Reader) -> PriorityClass | None:
    """Two defaults can come from a race: the lower one counts."""
    defaults = [item for item in reader.list(PriorityClass) if item.globalDefault]
    return min(defaults, key=lambda item: item.value, default=None)
