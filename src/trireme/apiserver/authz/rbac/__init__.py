"""Role-based access control: https://kubernetes.io/docs/reference/access-authn-authz/rbac/."""
