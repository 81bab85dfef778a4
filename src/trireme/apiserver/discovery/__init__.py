"""Discovery, what the server serves: /api, /apis and below, aggregated and not."""
