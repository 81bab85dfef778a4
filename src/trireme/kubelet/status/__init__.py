"""What the API is told of a pod: computed here, purely, and written by ``manager``."""
