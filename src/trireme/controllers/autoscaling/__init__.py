"""The horizontal pod autoscaler: as many replicas as metrics ask for."""
