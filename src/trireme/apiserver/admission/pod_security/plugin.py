"""PodSecurity: pods, pod templates and the labels of namespaces against the Pod Security Standards.

Only pods are refused; templates of other kinds are warned of and noted for the audit. Upstream:
pod-security-admission ``admission``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trireme.api.apps.v1.daemonset import DaemonSet
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.batch.v1.cronjob import CronJob
from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.podtemplate import PodTemplate
from trireme.api.core.v1.replicationcontroller import ReplicationController
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden_by_name
from trireme.apiserver.admission.pod_security import evaluate, existing, levels
from trireme.apiserver.admission.pod_security.levels import PREFIX, PRIVILEGED, LevelVersion, Policy
from trireme.apiserver.admission.pod_security.monitoring import PodSecurityMetrics
from trireme.apiserver.admission.pod_security.settings import Settings
from trireme.machinery import errors, field, gotext
from trireme.machinery.field import FieldError
from trireme.machinery.resource import Resource

_TEMPLATES: Final[Mapping[type, Callable[[Any], Any]]] = {
    PodTemplate: lambda obj: obj.template,
    ReplicationController: lambda obj: obj.spec.template,
    ReplicaSet: lambda obj: obj.spec.template,
    Deployment: lambda obj: obj.spec.template,
    StatefulSet: lambda obj: obj.spec.template,
    DaemonSet: lambda obj: obj.spec.template,
    Job: lambda obj: obj.spec.template,
    CronJob: lambda obj: obj.spec.jobTemplate.spec.template,
}
_ENFORCED: Final = f"{PREFIX}enforce-policy"
_PRIVILEGED: Final = str(LevelVersion())
# Policies of so many namespaces are kept.
_KEPT: Final = 10_000
# Of any other one the object is a pod.
_IGNORED: Final = frozenset(
    ("exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status")
)


class PodSecurity(PluginBase):
    """For creations and updates of pods, of kinds with a template, and of namespaces."""

    name = "PodSecurity"

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        # The policy of a namespace as it was read last.
        self._known: dict[str, tuple[Namespace, Policy, list[FieldError]]] = {}
        self._metrics: PodSecurityMetrics | None = None

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if operation not in ("CREATE", "UPDATE"):
            return False
        if resource.type is Pod:
            return subresource not in _IGNORED
        return not subresource and (resource.type is Namespace or resource.type in _TEMPLATES)

    def validate(self, attributes: Attributes, context: Context) -> None:
        if self._metrics is None:
            self._metrics = PodSecurityMetrics(context.env.metrics)
        kind = attributes.resource.type
        if kind is Namespace:
            self._namespace(attributes, context)
        elif kind is not Pod:
            self._template(attributes, context, self._metrics)
        elif not self._is_exempt(attributes, self._metrics):
            self._pod(attributes, context, self._metrics)

    def _namespace(self, attributes: Attributes, context: Context) -> None:
        new, old = attributes.new, attributes.old
        defaults = self._settings.defaults
        policy, errs = levels.policy(new.metadata.labels, defaults)
        before, old_errs = (
            (None, []) if old is None else levels.policy(old.metadata.labels, defaults)
        )
        if errs and errs != old_errs:
            raise errors.invalid("Namespace", attributes.name, errs)
        name = new.metadata.name
        if before is not None:
            changed = policy.enforce
            relaxed = changed.version == before.enforce.version and (
                levels.strictness(changed.level) <= levels.strictness(before.enforce.level)
            )
            if changed == before.enforce or changed.level == PRIVILEGED or relaxed:
                return
        if name in self._settings.namespaces:
            attributes.warnings += self._ignored(name, policy, new.metadata.labels)
        elif before is not None:
            pods = context.reader.list(Pod, name)
            exempt = self._settings.runtime_classes
            clock = context.env.clock.monotonic
            attributes.warnings += existing.warnings(name, policy.enforce, pods, exempt, clock)

    def _ignored(self, name: str, policy: Policy, labels: Mapping[str, str]) -> list[str]:
        """The warning for labels of a namespace that is exempt."""
        if policy.is_privileged or policy.same_as(self._settings.defaults):
            return []
        parts = [
            f"{mode}={demanded}"
            for mode, demanded in zip(policy._fields, policy, strict=True)
            if demanded.level != PRIVILEGED
            and (PREFIX + mode in labels or f"{PREFIX}{mode}-version" in labels)
        ]
        return [
            f"namespace {gotext.quote(name)} is exempt from Pod Security, and the policy "
            f"({', '.join(parts)}) will be ignored"
        ]

    def _is_exempt(self, attributes: Attributes, metrics: PodSecurityMetrics) -> bool:
        settings = self._settings
        if attributes.namespace in settings.namespaces:
            _annotate(attributes, "exempt", "namespace")
        elif attributes.user.name in settings.usernames:
            _annotate(attributes, "exempt", "user")
        else:
            return False
        metrics.exempt(attributes)
        return True

    def _pod(self, attributes: Attributes, context: Context, metrics: PodSecurityMetrics) -> None:
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is None:
            quoted = gotext.quote(attributes.namespace)
            metrics.failed(attributes, fatal=True)
            raise errors.internal_error(f"failed to lookup namespace {quoted}")
        policy, errs = self._policy(namespace)
        if not errs and policy.is_privileged:
            attributes.annotations[_ENFORCED] = _PRIVILEGED
            metrics.privileged(attributes)
            return
        pod, old = attributes.new, attributes.old
        if old is None or _is_significant(pod.spec, old.spec):
            self._evaluate(attributes, policy, errs, pod, metrics, enforced=True)

    def _template(
        self, attributes: Attributes, context: Context, metrics: PodSecurityMetrics
    ) -> None:
        if self._is_exempt(attributes, metrics):
            return
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is None:
            quoted = gotext.quote(attributes.namespace)
            _annotate(attributes, "error", f"failed to lookup namespace {quoted}")
            metrics.failed(attributes, fatal=True)
            return
        policy, errs = self._policy(namespace)
        if not errs and policy.warn.level == policy.audit.level == PRIVILEGED:
            return
        template = _TEMPLATES[attributes.resource.type](attributes.new)
        if template is not None:
            self._evaluate(attributes, policy, errs, template, metrics, enforced=False)

    def _evaluate(
        self,
        attributes: Attributes,
        policy: Policy,
        errs: list[FieldError],
        pod: Any,
        metrics: PodSecurityMetrics,
        *,
        enforced: bool,
    ) -> None:
        """Check a pod or a template in all modes."""
        if pod.spec.runtimeClassName and pod.spec.runtimeClassName in (
            self._settings.runtime_classes
        ):
            _annotate(attributes, "exempt", "runtimeClass")
            metrics.exempt(attributes)
            return
        if errs:
            _annotate(attributes, "error", f"Failed to parse policy: {field.join(errs)}")
            metrics.failed(attributes, fatal=False)
        known: dict[LevelVersion, str] = {}

        def violated(demanded: LevelVersion) -> str:
            if demanded not in known:
                found = evaluate.violations(demanded, pod.metadata, pod.spec)
                known[demanded] = evaluate.detail(found)
            return known[demanded]

        if violated(policy.audit):
            _annotate(attributes, "audit-violations", _would(policy.audit, violated(policy.audit)))
            metrics.evaluated(attributes, "deny", policy.audit, "audit")
        if enforced:
            _annotate(attributes, "enforce-policy", str(policy.enforce))
            detail = violated(policy.enforce)
            metrics.evaluated(attributes, "deny" if detail else "allow", policy.enforce, "enforce")
            if detail:
                demanded = gotext.quote(str(policy.enforce))
                raise forbidden_by_name(attributes, f"violates PodSecurity {demanded}: {detail}")
        if violated(policy.warn):
            attributes.warnings.append(_would(policy.warn, violated(policy.warn)))
            metrics.evaluated(attributes, "deny", policy.warn, "warn")

    def _policy(self, namespace: Namespace) -> tuple[Policy, list[FieldError]]:
        name = namespace.metadata.name
        known = self._known.get(name)
        if known is None or known[0] is not namespace:
            labels = namespace.metadata.labels
            known = (namespace, *levels.policy(labels, self._settings.defaults))
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[name] = known
        return known[1], known[2]


def _would(demanded: LevelVersion, detail: str) -> str:
    return f"would violate PodSecurity {gotext.quote(str(demanded))}: {detail}"


def _annotate(attributes: Attributes, key: str, value: str) -> None:
    attributes.annotate(PREFIX + key, value)


def _is_significant(new: Any, old: Any) -> bool:
    """Whether an update changes what is looked at: other images, other containers."""
    for name in ("containers", "initContainers"):
        images = [item.image for item in getattr(new, name)]
        if images != [item.image for item in getattr(old, name)]:
            return True
    known = {item.name: item.image for item in old.ephemeralContainers}
    return any(known.get(item.name) != item.image for item in new.ephemeralContainers)
