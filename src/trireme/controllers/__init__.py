"""The controllers: each moves one kind of object from what is towards what should be."""
