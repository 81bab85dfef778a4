"""The node lifecycle: health, taints, eviction of pods."""
