# Made by scripts/stubs.
from .resourceslice import BasicDevice as BasicDevice
from .resourceslice import Device as Device
from .claim_types import DeviceClaim as DeviceClaim
from .deviceclass import DeviceClass as DeviceClass
from .claim_types import DeviceRequest as DeviceRequest
from .resourceclaim import ResourceClaim as ResourceClaim
from .claim_types import ResourceClaimSpec as ResourceClaimSpec
from .resourceclaimtemplate import ResourceClaimTemplate as ResourceClaimTemplate
from .resourceclaimtemplate import ResourceClaimTemplateSpec as ResourceClaimTemplateSpec
from .resourceslice import ResourceSlice as ResourceSlice
from .resourceslice import ResourceSliceSpec as ResourceSliceSpec
