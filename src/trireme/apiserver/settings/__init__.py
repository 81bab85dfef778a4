"""What operators set about the API server, a file for each area; no argv and no files."""
