"""What carries a ruleset out."""
