"""JSONPath as kubectl and printer columns write it.

``parse(".spec.replicas")`` gives a ``JsonPath``; its ``find`` gives the values there are. Rules:
https://kubernetes.io/docs/reference/kubectl/jsonpath/; upstream client-go ``util/jsonpath``.
"""

from trireme.expr.jsonpath.parse import JsonPathError, parse
from trireme.expr.jsonpath.steps import JsonPath

__all__ = ["JsonPath", "JsonPathError", "parse"]
