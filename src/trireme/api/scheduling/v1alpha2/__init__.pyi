# Made by scripts/stubs.
from .podgroups import BasicSchedulingPolicy as BasicSchedulingPolicy
from .podgroups import GangSchedulingPolicy as GangSchedulingPolicy
from .podgroup import PodGroup as PodGroup
from .podgroups import PodGroupResourceClaim as PodGroupResourceClaim
from .podgroup import PodGroupResourceClaimStatus as PodGroupResourceClaimStatus
from .podgroups import PodGroupSchedulingConstraints as PodGroupSchedulingConstraints
from .podgroups import PodGroupSchedulingPolicy as PodGroupSchedulingPolicy
from .podgroup import PodGroupSpec as PodGroupSpec
from .podgroup import PodGroupStatus as PodGroupStatus
from .workload import PodGroupTemplate as PodGroupTemplate
from .podgroup import PodGroupTemplateReference as PodGroupTemplateReference
from .podgroups import TopologyConstraint as TopologyConstraint
from .workload import TypedLocalObjectReference as TypedLocalObjectReference
from .workload import Workload as Workload
from .podgroup import WorkloadPodGroupTemplateReference as WorkloadPodGroupTemplateReference
from .workload import WorkloadSpec as WorkloadSpec
