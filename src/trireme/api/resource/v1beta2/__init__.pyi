# Made by scripts/stubs.
from .deviceclass import DeviceClass as DeviceClass
from .devicetaintrule import DeviceTaintRule as DeviceTaintRule
from .devicetaintrule import DeviceTaintRuleSpec as DeviceTaintRuleSpec
from .devicetaintrule import DeviceTaintRuleStatus as DeviceTaintRuleStatus
from .devicetaintrule import DeviceTaintSelector as DeviceTaintSelector
from .resourceclaim import ResourceClaim as ResourceClaim
from .resourceclaimtemplate import ResourceClaimTemplate as ResourceClaimTemplate
from .resourceslice import ResourceSlice as ResourceSlice
