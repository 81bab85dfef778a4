# Made by scripts/stubs.
from .clusterrole import AggregationRule as AggregationRule
from .clusterrole import ClusterRole as ClusterRole
from .clusterrolebinding_types import ClusterRoleBinding as ClusterRoleBinding
from .rules import PolicyRule as PolicyRule
from .role import Role as Role
from .rolebinding_types import RoleBinding as RoleBinding
from .rules import RoleRef as RoleRef
from .rules import Subject as Subject
