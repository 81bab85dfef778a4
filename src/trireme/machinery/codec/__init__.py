"""Objects to bytes and back: JSON out, YAML in and out. JSON in is ``schema/decode``."""
