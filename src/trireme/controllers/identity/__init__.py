"""What each namespace is given to know and prove who is who."""
