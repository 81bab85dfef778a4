# Made by scripts/stubs.
from .ipaddress import IPAddress as IPAddress
from .servicecidr import ServiceCIDR as ServiceCIDR
