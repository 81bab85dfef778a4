"""What is deleted because something else is."""
