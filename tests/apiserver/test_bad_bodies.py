"""Bodies that are large, deep, damaged or made to explode: a Status each, in little time.

In process, on the real server. What comes through a socket (the limit of 3 MiB, gzip bombs, half
bodies) is in ``test_bad_clients``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.apiserver.conftest import ADMIN
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
JSON, YAML = "application/json", "application/yaml"
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
PROTOBUF, CBOR = "application/vnd.kubernetes.protobuf", "application/cbor"
# Far above what any of these takes; far below what an explosion would.
SOON = 5.0


class Api:
    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def __call__(
        self, method: str, path: str, body: bytes = b"", media: str = JSON
    ) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        request = Request(method, path, query, {"content-type": media}, body, user=ADMIN)
        began = time.perf_counter()
        answer = await chain.handle(self.server, request)
        assert time.perf_counter() - began < SOON
        assert isinstance(answer, Reply)
        return answer.status, json.loads(answer.body)

    async def refused(
        self, code: int, method: str, path: str, body: bytes = b"", media: str = JSON
    ) -> str:
        """The message of a Status with that code."""
        status, got = await self(method, path, body, media)
        assert (status, got["kind"], got["code"]) == (code, "Status", code), str(got)[:500]
        return str(got["message"])

    async def made(self, path: str, body: bytes) -> Any:
        status, got = await self("POST", path, body)
        assert status == 201, str(got)[:500]
        return got


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    gates = {"CBORServingAndStorage": True}
    async with control_plane.api_server(post_start_hooks=True, feature_gates=gates) as server:
        yield Api(server)


def config_map(name: str = "a", **more: Any) -> bytes:
    whole = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, **more}
    return json.dumps(whole).encode()


def spliced(place: bytes) -> bytes:
    """A ConfigMap with raw JSON for its data."""
    return config_map()[:-1] + b',"data":' + place + b"}"


# Depth.


@pytest.mark.parametrize("depth", [200, 10_000, 100_000])
@pytest.mark.parametrize(
    ("media", "opening", "closing"),
    [
        (JSON, b'{"a":', b"}"),
        (JSON, b"[", b"]"),
        (YAML, b"[", b"]"),
        (YAML, b"{a: ", b"}"),
        (CBOR, b"\xa1aa", b""),
        (CBOR, b"\x81", b""),
        (CBOR, b"\x9f", b"\xff"),
        (PROTOBUF, b"\x0a\xff\xff\x03", b""),
    ],
)
async def test_deep_bodies(
    api: Api, media: str, opening: bytes, closing: bytes, depth: int
) -> None:
    deep = opening * depth + b"1" + closing * depth
    if media == PROTOBUF:
        deep = b"k8s\x00" + deep
    status, got = await api("POST", MAPS, deep, media)
    # What is not too deep is a field that nobody knows, in an object without a name.
    assert status == 400 or (status, depth, got["reason"]) == (422, 200, "Invalid"), got


@pytest.mark.parametrize("depth", [10_000, 100_000])
@pytest.mark.parametrize("media", [JSON_PATCH, MERGE, STRATEGIC, APPLY])
async def test_deep_patches(api: Api, media: str, depth: int) -> None:
    await api.made(MAPS, config_map())
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    if media == JSON_PATCH:
        deep = b'[{"op":"add","path":"/data","value":' + deep + b"}]"
    await api.refused(400, "PATCH", f"{MAPS}/a?fieldManager=m", deep, media)


async def test_deep_paths_of_patches(api: Api) -> None:
    await api.made(MAPS, config_map())
    steps = [{"op": "add", "path": "/data" + "/a" * 100_000, "value": 1}]
    status, got = await api("PATCH", f"{MAPS}/a", json.dumps(steps).encode(), JSON_PATCH)
    assert status in (400, 422), got


async def test_a_schema_that_is_too_deep(api: Api) -> None:
    opening = b'{"type":"object","properties":{"a":'
    for depth in (30, 400, 10_000):
        deep = opening * depth + b'{"type":"string"}' + b"}}" * depth
        whole = json.dumps(definition({})).encode()
        body = whole.replace(b'{"spec": {}}', b'{"spec": ' + deep + b"}")
        assert body != whole
        status, got = await api("POST", f"{CRDS}?dryRun=All", body)
        assert status == (201 if depth == 30 else 400), (depth, str(got)[:300])


# Size.


async def test_an_object_of_almost_three_mebibytes(api: Api) -> None:
    """What fits through the limit is stored, read, listed and patched (a custom kind has no limit
    of its own, as ConfigMaps have)."""
    await widgets(api, {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    text = "x" * (3 * 1024 * 1024 - 4096)
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "large"}}
    made = await api.made(WIDGETS, json.dumps({**body, "spec": {"text": text}}).encode())
    assert made["spec"]["text"] == text
    for media, patch in (
        (MERGE, {"metadata": {"labels": {"a": "1"}}}),
        (JSON_PATCH, [{"op": "add", "path": "/metadata/labels/b", "value": "2"}]),
    ):
        status, got = await api("PATCH", f"{WIDGETS}/large", json.dumps(patch).encode(), media)
        assert status == 200, str(got)[:300]
    status, listed = await api("GET", f"{WIDGETS}?labelSelector=a%3D1,b%3D2")
    assert (status, listed["items"][0]["spec"]["text"] == text) == (200, True)


async def test_a_config_map_of_more_than_a_mebibyte(api: Api) -> None:
    message = await api.refused(422, "POST", MAPS, config_map(data={"a": "x" * 1_048_577}))
    assert message == 'ConfigMap "a" is invalid: []: Too long: may not be more than 1048576 bytes'


async def test_annotations_of_more_than_256_kibibytes(api: Api) -> None:
    metadata = {"name": "a", "annotations": {"a": "x" * 262_144}}
    message = await api.refused(422, "POST", MAPS, config_map(metadata=metadata))
    assert "metadata.annotations: Too long: may not be more than 262144 bytes" in message


async def test_many_of_everything(api: Api) -> None:
    many = {f"k-{number}": "v" for number in range(20_000)}
    await api.made(MAPS, config_map(data=many))
    container = {"name": "a", "image": "i", "env": [{"name": f"E{n}"} for n in range(20_000)]}
    pod: dict[str, Any] = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}
    pod["spec"] = {"containers": [container]}
    await api.made(PODS, json.dumps(pod).encode())
    again = {"spec": {"containers": [{"name": "a", "env": container["env"][:2]}]}}
    status, _ = await api("PATCH", f"{PODS}/a", json.dumps(again).encode(), STRATEGIC)
    assert status == 200
    pod["spec"]["containers"] = [{"name": "a", "image": "i"}] * 1_000
    pod["metadata"]["name"] = "b"
    await api.refused(422, "POST", PODS, json.dumps(pod).encode())


# Text.


@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3\x28", b"\xe2\x82", b"\xf0\x90\x28\xbc", b"\xc0\x80"]
)
async def test_what_is_no_utf8(api: Api, bad: bytes) -> None:
    """Go reads U+FFFD for it: as a value that is stored, as a name it is refused."""
    status, got = await api("POST", MAPS, spliced(b'{"k":"' + bad + b'"}'))
    assert status == 201 and set(got["data"]["k"]) <= {"\ufffd", "("}
    body = config_map("NAME").replace(b"NAME", bad)
    await api.refused(422, "POST", MAPS, body)
    await api.refused(400, "POST", MAPS, b'data: {k: "' + bad + b'"}', YAML)


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (b'{"k":"1","k":"2"}', 'duplicate field "data.k"'),
        (b'{"k":"1"},"data":{"l":"2"}', 'duplicate field "data"'),
        (b'{"k":"1"},"metadata":{"name":"b"}', 'duplicate field "metadata"'),
    ],
)
async def test_duplicate_keys(api: Api, place: bytes, named: str) -> None:
    body = spliced(place)
    assert named in await api.refused(400, "POST", f"{MAPS}?fieldValidation=Strict", body)
    status, got = await api("POST", MAPS, body)
    assert status == 201 and got["metadata"]["name"] in ("a", "b")
    message = await api.refused(
        400, "POST", f"{MAPS}?fieldValidation=Strict", b"data: {k: a, k: b}", YAML
    )
    assert 'key "k" already set in map' in message


# Numbers.


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"2147483647", 201), (b"2147483648", 400), (b"-2147483649", 400), (b"-1", 422),
        (b"9223372036854775807", 400), (b"9223372036854775808", 400), (b"1e400", 400),
        (b"18446744073709551616", 400), (b"-0", 201), (b"1.0", 400), (b"1.5", 400), (b"1e2", 400),
        (b"NaN", 400), (b"Infinity", 400), (b"01", 400), (b"+1", 400), (b"0x1", 400), (b".5", 400),
        (b"1" * 5_000, 400), (b'"1"', 400), (b"true", 400),
    ],
)  # fmt: skip
async def test_numbers_at_the_edges(api: Api, number: bytes, code: int) -> None:
    deployment = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "a"},
        "spec": {
            "replicas": "NUMBER",
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "a", "image": "i"}]},
            },
        },
    }
    body = json.dumps(deployment).encode().replace(b'"NUMBER"', number)
    status, got = await api("POST", DEPLOYMENTS, body)
    assert status == code, got


@pytest.mark.parametrize(
    "quantity",
    ["9" * 400, "1e400", "1e-400", "1e999999999", "-1e999999999", "0." + "0" * 5_000 + "1", "1E",
     "1Ei" * 3, "NaN", "1e9999999999999999999", ".", "+", "-", "e1"],
)  # fmt: skip
async def test_quantities_at_the_edges(api: Api, quantity: str) -> None:
    container = {"name": "a", "image": "i", "resources": {"limits": {"cpu": quantity}}}
    pod: dict[str, Any] = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}
    pod["spec"] = {"containers": [container]}
    status, got = await api("POST", PODS, json.dumps(pod).encode())
    assert status in (201, 400, 422), got


# Patches that explode.


async def test_ten_thousand_operations_are_the_most(api: Api) -> None:
    await api.made(MAPS, config_map(data={"a": "1"}))
    step = {"op": "test", "path": "/data/a", "value": "1"}
    status, _ = await api("PATCH", f"{MAPS}/a", json.dumps([step] * 10_000).encode(), JSON_PATCH)
    assert status == 200
    body = json.dumps([step] * 10_001).encode()
    message = await api.refused(413, "PATCH", f"{MAPS}/a", body, JSON_PATCH)
    assert message == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, "
        "got 10001"
    )


async def test_copies_that_double(api: Api) -> None:
    await widgets(api, {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "a"}}
    await api.made(WIDGETS, json.dumps({**body, "spec": {"a": {"x": "y" * 100}}}).encode())
    steps = [{"op": "copy", "from": "/spec/a", "path": f"/spec/a/{number}"} for number in range(60)]
    copies = json.dumps(steps).encode()
    status, got = await api("PATCH", f"{WIDGETS}/a", copies, JSON_PATCH)
    assert (status, got["reason"]) == (422, "Invalid")
    assert "the accumulated size increase of copy is" in got["details"]["causes"][0]["message"]


async def test_an_apply_of_many_lists(api: Api) -> None:
    ports = [{"containerPort": number, "protocol": "TCP"} for number in range(1, 5_000)]
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "a", "image": "i", "ports": ports}]},
    }
    body = json.dumps(pod).encode()
    for manager, code in (("m", 201), ("m", 200), ("n", 200)):
        status, got = await api("PATCH", f"{PODS}/a?fieldManager={manager}", body, APPLY)
        assert status == code, str(got)[:500]


# YAML.


async def test_aliases_that_explode(api: Api) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n" + "\n".join(lines)
    message = await api.refused(400, "POST", MAPS, text.encode(), YAML)
    assert "excessive aliasing" in message


@pytest.mark.parametrize(
    "text",
    [b"&a [*a]", b"*a", b"<<: *a", b"a: !!python/object/apply:os.system [x]", b"a: !!binary ==",
     b"? [a]\n: b", b"? {a: b}\n: c", b"%YAML 9.9\n---\na: b", b"a: b\n---\nc: d",
     b"---\n" * 1_000,
     b"a:\n\t- b", b"- " * 3_000, b"{" * 100, b"a: |\n" + b" " * 100_000, b"\xfe\xff\x00a",
     b"\x00"],
)  # fmt: skip
async def test_odd_yaml(api: Api, text: bytes) -> None:
    status, got = await api("POST", MAPS, text, YAML)
    assert status in (400, 422), got


# What a client chooses that the server has to work on.


async def test_a_continue_token_of_another_list(api: Api) -> None:
    for name in ("a", "b"):
        await api.made(MAPS, config_map(name))
    _, page = await api("GET", f"{MAPS}?limit=1")
    token = page["metadata"]["continue"]
    status, _ = await api("GET", f"/api/v1/namespaces/default/secrets?limit=1&continue={token}")
    assert status == 200
    for bad in (token[:-4], "A" * 10_000, "%00", "e30", "bnVsbA", "eyJ2IjoxfQ", token + token):
        await api.refused(400, "GET", f"{MAPS}?limit=1&continue={bad}")


async def test_huge_selectors(api: Api) -> None:
    await api.made(MAPS, config_map("a", metadata={"name": "a", "labels": {"k5": "v"}}))
    many = ",".join(f"k{number}!=v" for number in range(20_000))
    status, listed = await api("GET", f"{MAPS}?labelSelector={many}")
    assert (status, listed["items"]) == (200, [])
    values = ",".join(f"v{number}" for number in range(50_000))
    status, listed = await api("GET", f"{MAPS}?labelSelector=k5 in ({values},v)")
    assert (status, len(listed["items"])) == (200, 1)
    fields = ",".join(f"metadata.name!=n{number}" for number in range(20_000))
    status, listed = await api("GET", f"{MAPS}?fieldSelector={fields}&labelSelector=k5")
    assert (status, len(listed["items"])) == (200, 1)
    await api.refused(400, "GET", f"{MAPS}?labelSelector={'(' * 100_000}")
    await api.refused(400, "GET", f"{MAPS}?labelSelector={'a' * 100_000}")
    await api.refused(400, "GET", f"{MAPS}?fieldSelector={'a=b,' * 20_000}")


# Custom kinds: patterns and rules are somebody else's programs.


def definition(spec: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget",
                      "listKind": "WidgetList"},
            "versions": [
                {"name": "v1", "served": True, "storage": True,
                 "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }  # fmt: skip


async def widgets(api: Api, spec: dict[str, Any]) -> None:
    await install(api, definition(spec))


async def install(api: Api, expected: dict[str, Any]) -> None:
    """Define a kind and wait until it is served."""
    await api.made(CRDS, json.dumps(expected).encode())
    async with asyncio.timeout(SOON):
        while True:
            _, made = await api("GET", f"{CRDS}/{expected['metadata']['name']}")
            conditions = made["status"].get("conditions") or ()
            if any((it["type"], it["status"]) == ("Established", "True") for it in conditions):
                return
            await asyncio.sleep(0.001)


async def test_patterns_that_explode(api: Api) -> None:
    for number, pattern in enumerate(("^(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$")):
        name = f"kind{number}"
        text = {"type": "string", "pattern": pattern}
        whole = json.dumps(definition({"type": "object", "properties": {"t": text}}))
        whole = whole.replace("widget", name).replace("Widget", name.capitalize())
        await install(api, json.loads(whole))
        path = WIDGETS.replace("widget", name)
        body = {"kind": name.capitalize(), "apiVersion": "example.com/v1",
                "metadata": {"name": "a"}, "spec": {"t": "a" * 50_000 + "!"}}  # fmt: skip
        await api.refused(422, "POST", path, json.dumps(body).encode())


async def test_rules_that_cost_too_much(api: Api) -> None:
    """The estimate refuses them when the kind is defined, as nothing bounds the lists."""
    numbers = {"type": "array", "items": {"type": "string"}}
    rule = {"rule": "self.all(a, self.all(b, self.all(c, a + b != c)))"}
    spec = {"type": "object",
            "properties": {"n": {**numbers, "x-kubernetes-validations": [rule]}}}  # fmt: skip
    message = await api.refused(422, "POST", CRDS, json.dumps(definition(spec)).encode())
    assert "estimated rule cost exceeds budget" in message


async def test_rules_that_turn_out_to_cost_too_much(api: Api) -> None:
    """A rule that is cheap by its estimate runs out of its budget instead of the server's time."""
    text = {"type": "string", "maxLength": 100}
    numbers = {"type": "array", "maxItems": 40, "items": text}
    rule = {"rule": "self.all(a, self.all(b, self.all(c, a != b || b != c || a == c)))"}
    spec = {"type": "object",
            "properties": {"n": {**numbers, "x-kubernetes-validations": [rule]}}}  # fmt: skip
    await install(api, definition(spec))
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "a"}}
    body["spec"] = {"n": ["x" * 100] * 40}
    status, got = await api("POST", WIDGETS, json.dumps(body).encode())
    assert status in (201, 422), got


async def test_a_scale_of_what_has_no_replicas(api: Api) -> None:
    expected = definition({"type": "object", "properties": {"n": {"type": "integer"}}})
    status = {"type": "object", "properties": {"n": {"type": "integer"}}}
    version = expected["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = status
    paths = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    version["subresources"] = {"status": {}, "scale": paths}
    await install(api, expected)
    body = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "a"}}
    await api.made(WIDGETS, json.dumps(body).encode())
    # Upstream's own answer: an InternalError.
    message = await api.refused(500, "GET", f"{WIDGETS}/a/scale")
    assert message.endswith('the spec replicas field ".spec.n" does not exist')
    message = await api.refused(400, "PATCH", f"{WIDGETS}/a/scale", b"{}", MERGE)
    assert message == 'the spec replicas field ".spec.n" cannot be empty'
    patch = b'{"spec":{"replicas":3}}'
    code, scale = await api("PATCH", f"{WIDGETS}/a/scale", patch, MERGE)
    assert (code, scale["spec"]) == (200, {"replicas": 3})
    assert (await api("GET", f"{WIDGETS}/a/scale"))[1]["spec"] == {"replicas": 3}


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (JSON, b'{"metadata": {"name": "a", "managedFields":[], "labels": {"x": "\\ud800"}}}'),
        (JSON, b'{"metadata": {"name": "a", "managedFields":[], "labels": {"x": "\xff"}}}'),
        (YAML, b'{"metadata": {"name": "a", "managedFields":[]}, "data": {a: b}}'),
    ],
)
async def test_owners_that_are_cleared_in_an_odd_body(api: Api, media: str, body: bytes) -> None:
    await api.made(MAPS, config_map())
    whole = b'{"kind": "ConfigMap", "apiVersion": "v1", ' + body[1:]
    status, got = await api("PUT", f"{MAPS}/a", whole, media)
    assert status == (200 if media == YAML else 422), got
    assert "managedFields" not in got["metadata"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"authorization": "Bearer x\udcff.y.z"}, 401),
        ({"impersonate-user": "a\udcff"}, 201),
        ({"impersonate-user": "a", "impersonate-group": "\udcff"}, 201),
        ({"impersonate-user": "a", "impersonate-extra-\udcff": "\udcff"}, 201),
        ({"user-agent": "\udcff/1"}, 201),
        ({"accept": "\udcff"}, 406),
        ({"content-type": "\udcff"}, 415),
    ],
)
async def test_headers_that_are_no_utf8(api: Api, headers: dict[str, str], code: int) -> None:
    review = b'{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}'
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    user = None if "authorization" in headers else ADMIN
    request = Request("POST", path, "", headers, review, user=user)
    answer = await chain.handle(api.server, request)
    assert answer.status == code, answer
