# Made by scripts/stubs.
from .eviction import Eviction as Eviction
from .poddisruptionbudget import PodDisruptionBudget as PodDisruptionBudget
from .poddisruptionbudget import PodDisruptionBudgetSpec as PodDisruptionBudgetSpec
from .poddisruptionbudget import PodDisruptionBudgetStatus as PodDisruptionBudgetStatus
