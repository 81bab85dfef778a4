"""Validation of Pods and of pod templates."""
