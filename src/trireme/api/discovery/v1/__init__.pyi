# Made by scripts/stubs.
from .endpointslice import Endpoint as Endpoint
from .endpointslice import EndpointConditions as EndpointConditions
from .endpointslice import EndpointHints as EndpointHints
from .endpointslice import EndpointPort as EndpointPort
from .endpointslice import EndpointSlice as EndpointSlice
from .endpointslice import ForNode as ForNode
from .endpointslice import ForZone as ForZone
