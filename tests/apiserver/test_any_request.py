"""Whatever a request says, the answer is never a 5xx of ours: paths, queries and bodies at random.

Through ``chain.handle``, in process. 504 is upstream's own answer to a resourceVersion of the
future, and so is allowed.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.kit import pki
from trireme.testing import control_plane

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
KEY = pki.new_key()

WORDS = st.sampled_from(
    ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "services", "configmaps",
     "deployments", "status", "scale", "log", "exec", "binding", "eviction", "token", "watch",
     "nodes", "rbac.authorization.k8s.io", "clusterroles", "authorization.k8s.io",
     "subjectaccessreviews", "openapi", "v3", "healthz", "coordination.k8s.io", "leases",
     "kube-system", "a", "..", "%2e%2e", "%00", "%ff", "", "*", "discovery.k8s.io",
     "endpointslices", "kubernetes", "serviceaccounts", "proxy", "finalize", "version"]
)  # fmt: skip
PATHS = st.one_of(
    st.lists(WORDS, max_size=8).map(lambda words: "/" + "/".join(words)),
    st.tuples(
        st.sampled_from(
            ["/api/v1/namespaces/default/", "/api/v1/", "/apis/apps/v1/namespaces/default/",
             "/apis/rbac.authorization.k8s.io/v1/"]
        ),
        st.lists(WORDS, min_size=1, max_size=3),
    ).map(lambda pair: pair[0] + "/".join(pair[1])),
)  # fmt: skip
NAMES = st.sampled_from(
    ["watch", "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector",
     "fieldSelector", "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "dryRun",
     "fieldValidation", "gracePeriodSeconds", "propagationPolicy", "orphanDependents",
     "includeObject", "container", "tailLines", "pretty", "preconditions.uid"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "1", "true", "false", "-1", "0", "99999999999999999999", "a=b", "a in (b,c)",
         "metadata.name=x", "spec.nodeName!=", "All", "Strict", "Exact", "NotOlderThan", "%ff",
         "%00", "!", ",,", "a=b=c", "²", "%C2%B2", "Background", "1e3", "0x1", "eyJ9"]
    ),
    st.text(string.printable, max_size=12),
)  # fmt: skip
QUERIES = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=10),
    st.sampled_from(["v1", "Pod", "ConfigMap", "apps/v1", "Deployment", "a", "100Mi", "-1"]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "namespace", "generateName", "labels", "spec",
     "annotations", "finalizers", "ownerReferences", "uid", "resourceVersion", "containers",
     "image", "ports", "containerPort", "selector", "template", "replicas", "data", "type",
     "status", "env", "volumes", "resources", "requests", "clusterIP", "op", "path", "value",
     "$patch", "matchLabels", "rules", "verbs",
     "resourceAttributes", "target", "deletionTimestamp",
     "creationTimestamp", "managedFields", "conditions", "strategy", "items", "preconditions"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=20,
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "apps/v1", "rbac.authorization.k8s.io/v1"]),
        "kind": st.sampled_from(["Pod", "ConfigMap", "Service", "Deployment", "ClusterRole"]),
        "metadata": st.one_of(JSON, st.just({"name": "a"}), st.just({"generateName": "g-"})),
        "spec": JSON,
    },
    optional={"data": JSON, "status": JSON, "rules": JSON},
)
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    st.one_of(JSON, OBJECTS).map(lambda value: _encoded(value)),
)
MEDIA = st.sampled_from(
    ["application/json", "application/yaml", "application/json-patch+json",
     "application/merge-patch+json", "application/strategic-merge-patch+json",
     "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf", "text/plain", ";",
     "application/json;charset=utf-8"]
)  # fmt: skip
ACCEPT = st.sampled_from(
    ["", "*/*", "application/json", "application/yaml", "text/html", "application/json;q=x",
     "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=Table",
     "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
     "application/vnd.kubernetes.protobuf"]
)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


@pytest.fixture(scope="module")
def asked() -> AsyncIterator[tuple[asyncio.Runner, ApiServer]]:
    """One server, and the loop that it is on, for all examples."""
    with asyncio.Runner() as runner:
        context = control_plane.api_server()
        server = runner.run(context.__aenter__())
        yield runner, server
        runner.run(context.__aexit__(None, None, None))


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(METHODS, PATHS, QUERIES, BODIES, MEDIA, ACCEPT)
def test_no_request_is_our_fault(
    asked: tuple[asyncio.Runner, ApiServer],
    method: str,
    path: str,
    query: str,
    body: bytes,
    media: str,
    accept: str,
) -> None:
    runner, server = asked

    async def ask() -> tuple[int, bytes]:
        headers = {"content-type": media, "accept": accept}
        request = Request(method, path, query, headers, body, user=ADMIN)
        answer = await chain.handle(server, request)
        if isinstance(answer, StreamReply):
            # Started, then left by its client.
            first = asyncio.ensure_future(anext(answer.chunks, b""))
            await asyncio.wait({first}, timeout=0)
            first.cancel()
            await asyncio.wait({first})
            await answer.chunks.aclose()
            return answer.status, b""
        return (answer.status, answer.body) if isinstance(answer, Reply) else (101, b"")

    status, got = runner.run(ask())
    assert status < 500 or status == 504, got
    if status >= 400 and path.startswith(("/api/", "/apis/")) and got.startswith(b"{"):
        assert msgspec.json.decode(got)["code"] == status
