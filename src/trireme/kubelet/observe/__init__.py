"""What is: pods as the container runtime shows them."""
