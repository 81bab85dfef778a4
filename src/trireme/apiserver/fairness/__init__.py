"""API Priority and Fairness: which requests are answered now, which wait and which are refused."""
