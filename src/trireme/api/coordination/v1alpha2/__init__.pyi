# Made by scripts/stubs.
from .leasecandidate import LeaseCandidate as LeaseCandidate
