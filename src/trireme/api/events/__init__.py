"""The group events.k8s.io: the current form of events."""
