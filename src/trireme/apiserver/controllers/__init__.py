"""What the API server does beside answering: one module for each post-start hook."""
