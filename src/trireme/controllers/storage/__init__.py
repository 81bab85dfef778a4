"""Storage: claims get volumes, volumes are attached to nodes, and what is used is protected."""
