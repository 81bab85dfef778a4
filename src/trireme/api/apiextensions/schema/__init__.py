"""What a custom resource's schema says and does: pure functions over plain JSON values.

``structural`` is the tree; ``prune``, ``default``, ``metadata`` and ``lists`` walk a value with it;
``openapi`` validates; ``check`` says whether a schema may be used at all. Upstream:
apiextensions-apiserver pkg/apiserver/schema and kube-openapi pkg/validation.
"""
