# Made by scripts/stubs.
from .runtimeclass import Overhead as Overhead
from .runtimeclass import RuntimeClass as RuntimeClass
from .runtimeclass import Scheduling as Scheduling
