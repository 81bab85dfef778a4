"""What reading needs beyond the stored bytes: labels and fields for selectors, decoded objects."""
