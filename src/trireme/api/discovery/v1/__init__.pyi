# Made by scripts/stubs.
from .endpointslice_types import Endpoint as Endpoint
from .endpointslice_types import EndpointConditions as EndpointConditions
from .endpointslice_types import EndpointHints as EndpointHints
from .endpointslice_types import EndpointPort as EndpointPort
from .endpointslice_types import EndpointSlice as EndpointSlice
from .endpointslice_types import ForNode as ForNode
from .endpointslice_types import ForZone as ForZone
