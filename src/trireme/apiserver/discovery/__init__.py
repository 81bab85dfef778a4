"""What the server serves, told to clients: /api, /apis and below, aggregated and not."""
