"""Certificate signing requests: approved where a node asks for its own, signed, and cleaned up."""
