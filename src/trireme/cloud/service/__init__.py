"""Load balancers of Services."""
