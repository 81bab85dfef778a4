"""Pod statuses: computed by pure functions, and written by ``manager``."""
