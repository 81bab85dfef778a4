# Made by scripts/stubs.
from .priorityclass import PriorityClass as PriorityClass
