"""A container's environment: expansion, services, the downward API, ConfigMaps and Secrets."""
