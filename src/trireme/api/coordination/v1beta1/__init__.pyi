# Made by scripts/stubs.
from .leasecandidate import LeaseCandidate as LeaseCandidate
from .leasecandidate import LeaseCandidateSpec as LeaseCandidateSpec
