"""Syncing a pod: plan actions from its specification and observed state, and execute them."""
