"""Generated protobuf code; ``scripts/generate-protos`` writes it."""
