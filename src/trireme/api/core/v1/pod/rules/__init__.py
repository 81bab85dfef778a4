"""What a Pod, and a template of pods, must be like."""
