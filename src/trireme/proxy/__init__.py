"""Service addresses on a node: Services and EndpointSlices become nftables rules.

``model`` (what each Service port is and which endpoints serve it) → ``plan`` (the ruleset, a value)
→ ``diff`` (from one ruleset to the next) → ``backends/nftables`` (one atomic transaction).
"""
