"""The admission plugins that are on, in upstream's order: the order is the behaviour.

Mutating steps run down this list, then validating steps run down it again. The plugins of upstream
that are on by default and not in this list are not there yet.
"""

from __future__ import annotations

from trireme.apiserver.admission.contract import Plugin
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
from trireme.apiserver.admission.plugins.device_admin_access import DeviceAdminAccess
from trireme.apiserver.admission.plugins.limit_ranger import LimitRanger
from trireme.apiserver.admission.plugins.namespace_lifecycle import NamespaceLifecycle
from trireme.apiserver.admission.plugins.node_restriction import NodeRestriction
from trireme.apiserver.admission.plugins.pod_certificate_requests import (
    PodCertificateRequests,
)
from trireme.apiserver.admission.plugins.pod_groups import (
    PodGroupProtection,
    PodGroupWorkloadExists,
)
from trireme.apiserver.admission.plugins.pod_resize import PodResize
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
from trireme.apiserver.admission.pod_security.plugin import PodSecurity
from trireme.apiserver.admission.policies.mutating import MutatingAdmissionPolicies
from trireme.apiserver.admission.policies.validating import ValidatingAdmissionPolicies
from trireme.apiserver.admission.webhooks.mutating import MutatingAdmissionWebhook
from trireme.apiserver.admission.webhooks.validating import ValidatingAdmissionWebhook


def plugins() -> list[Plugin]:
    """A fresh list; plugins keep state only per API server."""
    return [
        NamespaceLifecycle(),
        LimitRanger(),
        ServiceAccountPlugin(),
        # Off in upstream's defaults, on in every real cluster: kubelets are not trusted.
        NodeRestriction(),
        TaintNodesByCondition(),
        PodSecurity(),
        Priority(),
        DefaultTolerationSeconds(),
        DefaultStorageClass(),
        StorageObjectInUseProtection(),
        PodGroupProtection(),
        PersistentVolumeClaimResize(),
        RuntimeClassPlugin(),
        CertificateApproval(),
        CertificateSigning(),
        ClusterTrustBundleAttest(),
        CertificateSubjectRestriction(),
        DefaultIngressClass(),
        PodTopologyLabels(),
        PodGroupWorkloadExists(),
        PodResize(),
        # What users configure sees what all others made.
        MutatingAdmissionPolicies(),
        MutatingAdmissionWebhook(),
        ValidatingAdmissionPolicies(),
        ValidatingAdmissionWebhook(),
        # In upstream a part of the requests' storage: what others made of them does not count.
        CertificateRequests(),
        PodCertificateRequests(),
        # In upstream a part of the claims' storage.
        DeviceAdminAccess(),
        # In upstream a part of the roles' storage: it has to see what all others made of a role.
        RbacEscalation(),
        # The last one: it charges what is stored.
        ResourceQuotaPlugin(),
    ]
