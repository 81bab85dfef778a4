"""Endpoints and EndpointSlices: the pods behind a Service."""
