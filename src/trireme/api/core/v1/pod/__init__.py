"""Pod, in small files: spec, containers, volumes, probes, scheduling, security, status."""
