"""The admission plugins in upstream's order: the order is the behaviour.

Mutating steps run down this list, then validating steps run down it again. In: which plugins are
switched on or off, and their configurations. Out: the plugins that are on. ValueError for what no
API server starts with. Upstream: pkg/kubeapiserver/options/plugins.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from trireme.apiserver.admission.contract import Plugin
from trireme.apiserver.admission.plugins import (
    event_rate_limit,
    image_policy_webhook,
    pod_node_selector,
    pod_toleration_restriction,
)
from trireme.apiserver.admission.plugins.always import AlwaysAdmit, AlwaysDeny
from trireme.apiserver.admission.plugins.always_pull_images import AlwaysPullImages
from trireme.apiserver.admission.plugins.certificate_requests import CertificateRequests
from trireme.apiserver.admission.plugins.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from trireme.apiserver.admission.plugins.default_ingress_class import DefaultIngressClass
from trireme.apiserver.admission.plugins.default_toleration_seconds import (
    DefaultTolerationSeconds,
)
from trireme.apiserver.admission.plugins.deny_service_external_ips import DenyServiceExternalIPs
from trireme.apiserver.admission.plugins.device_admin_access import DeviceAdminAccess
from trireme.apiserver.admission.plugins.event_rate_limit import EventRateLimit
from trireme.apiserver.admission.plugins.extended_resource_toleration import (
    ExtendedResourceToleration,
)
from trireme.apiserver.admission.plugins.hard_anti_affinity import (
    LimitPodHardAntiAffinityTopology,
)
from trireme.apiserver.admission.plugins.image_policy_webhook import ImagePolicyWebhook
from trireme.apiserver.admission.plugins.limit_ranger import LimitRanger
from trireme.apiserver.admission.plugins.namespace_lifecycle import NamespaceLifecycle
from trireme.apiserver.admission.plugins.namespaces import NamespaceAutoProvision, NamespaceExists
from trireme.apiserver.admission.plugins.node_declared_features import NodeDeclaredFeatureValidator
from trireme.apiserver.admission.plugins.node_restriction import NodeRestriction
from trireme.apiserver.admission.plugins.owner_references import (
    OwnerReferencesPermissionEnforcement,
)
from trireme.apiserver.admission.plugins.pod_certificate_requests import (
    PodCertificateRequests,
)
from trireme.apiserver.admission.plugins.pod_groups import (
    PodGroupProtection,
    PodGroupWorkloadExists,
)
from trireme.apiserver.admission.plugins.pod_node_selector import PodNodeSelector
from trireme.apiserver.admission.plugins.pod_resize import PodResize
from trireme.apiserver.admission.plugins.pod_toleration_restriction import (
    PodTolerationRestriction,
)
from trireme.apiserver.admission.plugins.pod_topology_labels import PodTopologyLabels
from trireme.apiserver.admission.plugins.priority import Priority
from trireme.apiserver.admission.plugins.rbac_escalation import RbacEscalation
from trireme.apiserver.admission.plugins.resource_quota import ResourceQuotaPlugin
from trireme.apiserver.admission.plugins.runtime_class import RuntimeClassPlugin
from trireme.apiserver.admission.plugins.service_account import ServiceAccountPlugin
from trireme.apiserver.admission.plugins.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from trireme.apiserver.admission.plugins.taint_nodes_by_condition import TaintNodesByCondition
from trireme.apiserver.admission.pod_security import settings as pod_security_settings
from trireme.apiserver.admission.pod_security.plugin import PodSecurity
from trireme.apiserver.admission.policies.mutating import MutatingAdmissionPolicies
from trireme.apiserver.admission.policies.validating import ValidatingAdmissionPolicies
from trireme.apiserver.admission.webhooks import settings as webhook_settings
from trireme.apiserver.admission.webhooks.mutating import MutatingAdmissionWebhook
from trireme.apiserver.admission.webhooks.settings import ClientAuth
from trireme.apiserver.admission.webhooks.validating import ValidatingAdmissionWebhook
from trireme.apiserver.settings.admission import Admission
from trireme.machinery import gotext

Make = Callable[[bytes | None, Admission], Plugin]


class Step(NamedTuple):
    """A plugin's place. ``on``: by default. ``make`` gets its configuration, None where there is
    none; where ``plain``, it takes none."""

    name: str
    make: Make
    on: bool = True
    plain: bool = False


def _plain(plugin: type[Plugin], on: bool = True) -> Step:
    """A plugin without a configuration."""
    return Step(plugin.name, lambda data, settings: plugin(), on, True)


def _auth(data: bytes | None, settings: Admission) -> ClientAuth:
    return webhook_settings.decode(data, settings.read)


STEPS: Final = (
    _plain(AlwaysAdmit, on=False),
    _plain(NamespaceAutoProvision, on=False),
    _plain(NamespaceLifecycle),
    _plain(NamespaceExists, on=False),
    _plain(LimitPodHardAntiAffinityTopology, on=False),
    _plain(LimitRanger),
    _plain(ServiceAccountPlugin),
    # Off in upstream's defaults, on in every real cluster: kubelets are not trusted.
    _plain(NodeRestriction),
    _plain(TaintNodesByCondition),
    _plain(AlwaysPullImages, on=False),
    Step(
        "ImagePolicyWebhook",
        lambda data, settings: ImagePolicyWebhook(image_policy_webhook.decode(data, settings.read)),
        on=False,
    ),
    Step("PodSecurity", lambda data, _: PodSecurity(pod_security_settings.decode(data))),
    Step(
        "PodNodeSelector",
        lambda data, _: PodNodeSelector(pod_node_selector.decode(data)),
        on=False,
    ),
    _plain(Priority),
    _plain(DefaultTolerationSeconds),
    Step(
        "PodTolerationRestriction",
        lambda data, _: PodTolerationRestriction(pod_toleration_restriction.decode(data)),
        on=False,
    ),
    Step(
        "EventRateLimit",
        lambda data, _: EventRateLimit(event_rate_limit.decode(data)),
        on=False,
    ),
    _plain(ExtendedResourceToleration, on=False),
    _plain(DefaultStorageClass),
    _plain(StorageObjectInUseProtection),
    _plain(PodGroupProtection),
    _plain(OwnerReferencesPermissionEnforcement, on=False),
    _plain(PersistentVolumeClaimResize),
    _plain(RuntimeClassPlugin),
    _plain(CertificateApproval),
    _plain(CertificateSigning),
    _plain(ClusterTrustBundleAttest),
    _plain(CertificateSubjectRestriction),
    _plain(DefaultIngressClass),
    _plain(DenyServiceExternalIPs, on=False),
    _plain(PodTopologyLabels),
    _plain(PodGroupWorkloadExists),
    _plain(NodeDeclaredFeatureValidator),
    _plain(PodResize),
    # What users configure sees what all others made.
    _plain(MutatingAdmissionPolicies),
    Step(
        "MutatingAdmissionWebhook",
        lambda data, settings: MutatingAdmissionWebhook(_auth(data, settings)),
    ),
    _plain(ValidatingAdmissionPolicies),
    Step(
        "ValidatingAdmissionWebhook",
        lambda data, settings: ValidatingAdmissionWebhook(_auth(data, settings)),
    ),
    # In upstream a part of the requests' storage: what others made of them does not count.
    _plain(CertificateRequests),
    _plain(PodCertificateRequests),
    # In upstream a part of the claims' storage.
    _plain(DeviceAdminAccess),
    # In upstream a part of the roles' storage: it has to see what all others made of a role.
    _plain(RbacEscalation),
    # It charges what is stored.
    _plain(ResourceQuotaPlugin),
    _plain(AlwaysDeny, on=False),
)
# Not upstream's to switch: parts of the storage there.
_ALWAYS: Final = frozenset(
    plugin.name
    for plugin in (CertificateRequests, PodCertificateRequests, DeviceAdminAccess, RbacEscalation)
)
NAMES: Final = tuple(step.name for step in STEPS if step.name not in _ALWAYS)


def plugins(settings: Admission | None = None) -> list[Plugin]:
    """A fresh list; plugins keep state only per API server. ValueError, beginning with the name of
    the flag or of the plugin."""
    settings = settings or Admission()
    _check(settings)
    made: list[Plugin] = []
    for step in STEPS:
        if step.name in settings.disabled or not (step.on or step.name in settings.enabled):
            continue
        data = settings.configurations.get(step.name)
        try:
            made.append(step.make(data, settings))
        except (ValueError, OSError) as error:
            raise ValueError(f'couldn\'t init admission plugin "{step.name}": {error}') from None
    return made


def _check(settings: Admission) -> None:
    for flag, names in (("enable", settings.enabled), ("disable", settings.disabled)):
        for name in sorted(names - {*NAMES}):
            raise ValueError(f"{flag}-admission-plugins plugin {gotext.quote(name)} is unknown")
    both = sorted(settings.enabled & settings.disabled)
    if both:
        raise ValueError(
            f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins "
            "overlapped"
        )
    plain = {step.name for step in STEPS if step.plain}
    for name in settings.configurations:
        if name not in NAMES:
            raise ValueError(f"configuration of admission plugin {gotext.quote(name)}: unknown")
        if name in plain:
            raise ValueError(
                f"configuration of admission plugin {gotext.quote(name)}: it takes none"
            )
