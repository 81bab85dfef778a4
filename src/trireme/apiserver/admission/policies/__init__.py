"""Admission policies: expressions that validate and change writes, stored as API objects."""
