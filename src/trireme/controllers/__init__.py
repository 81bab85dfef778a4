"""The controllers: each moves one kind of object from its observed to its desired state."""
