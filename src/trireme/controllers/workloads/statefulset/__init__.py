"""StatefulSets: pods with a lasting identity, each with its own claims."""
