"""Generated protobuf code; ``scripts/generate-cri`` writes it."""
