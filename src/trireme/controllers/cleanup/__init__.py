"""Deletions that follow from others: owners, namespaces, nodes."""
