"""Disruption budgets: how many of an application's pods may go at a time."""
