"""What goes back to a client, and in which form."""
