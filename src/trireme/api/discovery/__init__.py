"""API group discovery."""
