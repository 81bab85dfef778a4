"""The query and path parameters of the published operations: name, type, and what they are for.

Which operation takes which is said in ``paths``; the struct behind a set is meta/v1's ListOptions,
CreateOptions and so on, or the options of a subresource that connects.
"""

from __future__ import annotations

from typing import Any, Final

_TYPES: Final = {
    "boolean": (
        "allowWatchBookmarks",
        "follow",
        "force",
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "insecureSkipTLSVerifyBackend",
        "orphanDependents",
        "previous",
        "sendInitialEvents",
        "stderr",
        "stdin",
        "stdout",
        "timestamps",
        "tty",
        "watch",
    ),
    "integer": (
        "gracePeriodSeconds",
        "limit",
        "limitBytes",
        "ports",
        "sinceSeconds",
        "tailLines",
        "timeoutSeconds",
    ),
}
_TYPE: Final = {name: type_ for type_, names in _TYPES.items() for name in names}
_ABOUT: Final = {
    "allowWatchBookmarks": "Whether a watch may tell how far it has come, by BOOKMARK events.",
    "command": "The command and its arguments; no shell looks at them.",
    "container": "The container; may be left out when the pod has only one.",
    "continue": "The token of the page before this one: the list goes on where that ended.",
    "dryRun": "All: go through every stage and store nothing.",
    "fieldManager": "Who comes to own the fields that this request sets; 128 characters at most.",
    "fieldSelector": "Only objects with these values in these fields.",
    "fieldValidation": "What unknown and duplicate fields lead to: Ignore, Warn or Strict.",
    "follow": "Go on with what is logged from now on.",
    "force": "Take over fields that others own; for apply only.",
    "gracePeriodSeconds": "How long the object may take to end; 0 deletes at once.",
    "ignoreStoreReadErrorWithClusterBreakingPotential": (
        "Delete even what cannot be read back from the store; its finalizers do not hold it."
    ),
    "insecureSkipTLSVerifyBackend": "Do not check the certificate of the node's kubelet.",
    "labelSelector": "Only objects with these labels.",
    "limit": "How many items a page has at most.",
    "limitBytes": "How many bytes of the log are sent at most.",
    "logpath": "The path of the log file.",
    "name": "The object's name.",
    "namespace": "The object's namespace.",
    "orphanDependents": "Leave dependents behind. Deprecated: use propagationPolicy.",
    "path": "The path of the request that is passed on.",
    "ports": "The ports that are forwarded.",
    "pretty": "Indented JSON; browsers, curl and wget get it without asking.",
    "previous": "The log of the container's last run before this one.",
    "propagationPolicy": "What becomes of dependents: Orphan, Background or Foreground.",
    "resourceVersion": "At which version to read, or from which to watch.",
    "resourceVersionMatch": "How resourceVersion is meant: Exact or NotOlderThan.",
    "sendInitialEvents": "Whether a watch begins with what is there.",
    "shardSelector": "Only objects in this part of the range of hashes (an alpha feature).",
    "sinceSeconds": "Only what was logged within so many seconds.",
    "stderr": "Pass on standard error.",
    "stdin": "Pass on standard input.",
    "stdout": "Pass on standard output.",
    "stream": "Which stream of the log: All, Stdout or Stderr.",
    "tailLines": "Only so many lines from the log's end.",
    "timeoutSeconds": "After how many seconds the call ends.",
    "timestamps": "Begin each line with its time.",
    "tty": "Give the command a terminal.",
    "watch": "Send the changes from resourceVersion on, not a list.",
}

LIST: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
)
WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
PATCH: Final = (*WRITE, "force")
DELETE: Final = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
DELETE_MANY: Final = (
    *DELETE,
    *(name for name in LIST if name not in ("allowWatchBookmarks", "watch")),
)
LOG: Final = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
_STREAMS: Final = ("container", "stderr", "stdin", "stdout", "tty")
# By the kind of options that a subresource connects with.
CONNECT: Final = {
    "NodeProxyOptions": ("path",),
    "PodAttachOptions": _STREAMS,
    "PodExecOptions": ("command", *_STREAMS),
    "PodPortForwardOptions": ("ports",),
    "PodProxyOptions": ("path",),
    "ServiceProxyOptions": ("path",),
}


def query(name: str) -> dict[str, Any]:
    """A query parameter, as OpenAPI v3 has it."""
    return _parameter(name, "query")


def path(name: str) -> dict[str, Any]:
    """A parameter in the path."""
    return _parameter(name, "path") | {"required": True}


def _parameter(name: str, where: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "description": _ABOUT[name],
        "schema": {"type": _TYPE.get(name, "string"), "uniqueItems": True},
    }
