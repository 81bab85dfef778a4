"""The schema tree, and what walks it: decoding of bodies, canonical texts and plain defaults."""
