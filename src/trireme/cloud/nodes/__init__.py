"""Nodes as their provider knows them."""
