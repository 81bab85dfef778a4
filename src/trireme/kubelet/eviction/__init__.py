"""Node-pressure eviction: what is short, what can be reclaimed, which pod has to go."""
