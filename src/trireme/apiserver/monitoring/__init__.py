"""What the API server says of itself, under upstream's names."""
