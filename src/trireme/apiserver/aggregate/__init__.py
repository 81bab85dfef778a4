"""Which APIServices there are: who serves each version of each group."""
