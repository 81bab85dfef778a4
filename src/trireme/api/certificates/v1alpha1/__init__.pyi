# Made by scripts/stubs.
from .clustertrustbundle import ClusterTrustBundle as ClusterTrustBundle
