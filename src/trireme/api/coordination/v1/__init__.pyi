# Made by scripts/stubs.
from .lease import Lease as Lease
from .lease import LeaseSpec as LeaseSpec
