"""What only the state of the whole cluster can tell: free addresses and ports."""
