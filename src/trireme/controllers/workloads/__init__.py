"""The controllers of kinds that own pods."""
