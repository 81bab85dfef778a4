# Made by scripts/stubs.
from .clustertrustbundle import ClusterTrustBundle as ClusterTrustBundle
from .clustertrustbundle import ClusterTrustBundleSpec as ClusterTrustBundleSpec
from .pcr_types import PodCertificateRequest as PodCertificateRequest
from .pcr_types import PodCertificateRequestSpec as PodCertificateRequestSpec
from .pcr_types import PodCertificateRequestStatus as PodCertificateRequestStatus
