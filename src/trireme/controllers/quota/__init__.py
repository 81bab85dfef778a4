"""Controllers of quotas: what namespaces use of what they may."""
