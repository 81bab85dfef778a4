"""What a node may do: https://kubernetes.io/docs/reference/access-authn-authz/node/."""
