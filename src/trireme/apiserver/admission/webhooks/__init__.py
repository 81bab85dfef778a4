"""Admission webhooks: HTTPS servers that are asked about writes, as configurations say.

``mutating`` runs in the admit pass, one webhook after the other; ``validating`` in the validate
pass, all at once. ``call`` asks one; ``review`` is what is sent and what may come back.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/.
"""
