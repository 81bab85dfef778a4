"""Unknown fields, duplicate fields and wrong types, by every way in: upstream's codes and texts.

What upstream's API server (v1.36.2) says was taken from it, one request after another, with one
difference: where it answers 500 to a configuration that is applied and no object, ours says 400.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.apiserver.conftest import ADMIN
from tests.apiserver.crd.conftest import crd_api, definition, version
from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer

JSON, YAML = "application/json", "application/yaml"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
STEPS, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/default/configmaps"
SETS = "/apis/apps/v1/namespaces/default/deployments"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
NAMES = {
    MAPS: ("v1", "ConfigMap"),
    SETS: ("apps/v1", "Deployment"),
    WIDGETS: ("example.com/v1", "Widget"),
}
TEXT = {"type": "string"}
SPEC = {
    "type": "object",
    "properties": {
        "a": TEXT,
        "o": {"type": "object", "properties": {"x": TEXT}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"x": TEXT}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
PATCHED = ' "" is invalid: patch: Invalid value: '


class Server:
    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def __call__(
        self, method: str, path: str, body: str, media: str = JSON
    ) -> tuple[int, list[str], str]:
        """Status, warnings, and the message of an error."""
        path, _, query = path.partition("?")
        request = Request(method, path, query, {"content-type": media}, body.encode(), user=ADMIN)
        answer = await chain.handle(self.server, request)
        warnings = [line[7:-1].replace('\\"', '"') for line in answer.warnings]
        plain = json.loads(answer.body)
        return answer.status, warnings, plain.get("message", "") if answer.status > 299 else ""


def named(path: str, name: str, rest: str) -> str:
    version_, kind = NAMES[path]
    return f'{{"apiVersion":"{version_}","kind":"{kind}","metadata":{{"name":"{name}"}}{rest}}}'


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server with a ConfigMap, a Deployment and a Widget called ``e``."""
    schema = {"type": "object", "properties": {"spec": SPEC}}
    async with crd_api(definition(versions=[version(schema={"openAPIV3Schema": schema})])) as ask:
        server = Server(ask.server)
        spec = json.dumps({"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE})
        for path, rest in (
            (MAPS, ',"data":{"k":"v"}'),
            (SETS, f',"spec":{spec}'),
            (WIDGETS, ',"spec":{"a":"b"}'),
        ):
            assert (await server("POST", path, named(path, "e", rest)))[0] == 201
        yield server


@dataclass(frozen=True)
class Loose:
    """What may be ignored: an object's fields as JSON, and what is said of them."""

    path: str
    rest: str
    problems: tuple[str, ...]
    # What a configuration is refused for that has them; empty where they are no matter.
    applied: str = ""


LOOSE = [
    Loose(MAPS, ',"nope":1', ('unknown field "nope"',), ".nope: field not declared in schema"),
    Loose(MAPS, ',"Data":{"k":"v"}', ('unknown field "Data"',), ".Data: field not declared"),
    Loose(MAPS, ',"data":{"k":"v","k":"w"}', ('duplicate field "data.k"',)),
    Loose(MAPS, ',"data":{"k":"v"},"data":{"k":"w"}', ('duplicate field "data"',)),
    Loose(MAPS, ',"z":1,"data":{"k":"v","k":"w"}',
          ('unknown field "z"', 'duplicate field "data.k"'), ".z: field not declared in schema"),
    Loose(WIDGETS, ',"foo":1', ('unknown field "foo"',), ".foo: field not declared in schema"),
    Loose(WIDGETS, ',"spec":{"zz":1,"o":{"q":1},"l":[{"q":1}]}',
          ('unknown field "spec.l[0].q"', 'unknown field "spec.o.q"', 'unknown field "spec.zz"'),
          ".spec.zz: field not declared in schema"),
    Loose(WIDGETS, ',"spec":{"any":{"q":1,"q":2}}', ('duplicate field "spec.any.q"',)),
    Loose(WIDGETS, ',"spec":{"any":{"q":{"r":1}}}', ()),
]  # fmt: skip


@pytest.mark.parametrize("loose", LOOSE, ids=lambda each: each.rest)
async def test_what_may_be_ignored(loose: Loose) -> None:
    path, (_, kind) = loose.path, NAMES[loose.path]
    body, patch = named(path, "n", loose.rest), "{" + loose.rest[1:] + "}"
    strict = f"strict decoding error: {', '.join(loose.problems)}"
    async with serving() as ask:
        for mode in ("Strict", "Warn", "Ignore"):
            query = f"?dryRun=All&fieldValidation={mode}"
            refused = mode == "Strict" and bool(loose.problems)
            warned = sorted(loose.problems) if mode == "Warn" else []
            status, warnings, message = await ask("POST", path + query, body)
            assert (status, sorted(warnings)) == (400 if refused else 201, warned)
            if refused:
                detail = f'{kind} in version "v1" cannot be handled as a {kind}: {strict}'
                assert message == detail
            media = [MERGE] if path == WIDGETS else [MERGE, STRATEGIC]
            for form in media:
                status, warnings, message = await ask("PATCH", f"{path}/e{query}", patch, form)
                assert (status, sorted(warnings)) == (422 if refused else 200, warned)
                if refused:
                    assert message.startswith(PATCHED)
                    begins, _, problems = message.rpartition(": strict decoding error: ")
                    assert begins.endswith('"')
                    assert sorted(problems.split(", ")) == sorted(loose.problems)
            await _applied(ask, loose, query, mode)


async def _applied(ask: Server, loose: Loose, query: str, mode: str) -> None:
    here = f"{loose.path}/n{query}&fieldManager=m"
    status, warnings, message = await ask("PATCH", here, named(loose.path, "n", loose.rest), APPLY)
    if loose.applied:
        assert status == 400 and message.startswith("failed to create typed patch object (/n; ")
        assert loose.applied in message and not warnings
    elif loose.problems and mode == "Strict":
        key = loose.problems[0].rpartition(".")[2].strip('"').partition('"')[2] or "data"
        assert status == 400 and message.startswith(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 1: key "'
        ), key
        assert message.endswith('" already set in map')
    else:
        assert status == 201
        assert bool(warnings) == (bool(loose.problems) and mode == "Warn")


async def test_keys_that_yaml_sets_twice() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\nz: 1\ndata:\n  k: v\n  k: w\n"
    twice = 'line 8: key "k" already set in map'
    async with serving() as ask:
        answer = await ask("POST", f"{MAPS}?dryRun=All", text, YAML)
        assert answer == (201, [twice, 'unknown field "z"'], "")
        answer = await ask("POST", f"{MAPS}?dryRun=All&fieldValidation=Ignore", text, YAML)
        assert answer == (201, [], "")
        answer = await ask("POST", f"{MAPS}?dryRun=All&fieldValidation=Strict", text, YAML)
        assert answer == (
            400,
            [],
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
            f'yaml: unmarshal errors:\n  {twice}, unknown field "z"',
        )
        apply = f"{MAPS}/one?dryRun=All&fieldManager=m"
        assert await ask("PATCH", apply, text.replace("z: 1\n", ""), APPLY) == (
            201, ['line 7: key "k" already set in map'], "",
        )  # fmt: skip


async def test_members_of_a_json_patch() -> None:
    strict, here = "fieldValidation=Strict", f"{MAPS}/e?dryRun=All"
    step = '{"op":"add","path":"/metadata/labels","value":{"a":"b"}%s}'
    async with serving() as ask:
        more = "[" + step % ',"foo":1' + "]"
        assert await ask("PATCH", here, more, STEPS) == (
            200, ['json patch unknown field "[0].foo"'], "",
        )  # fmt: skip
        status, _, message = await ask("PATCH", f"{here}&{strict}", more, STEPS)
        assert status == 422 and message.startswith(PATCHED)
        assert message.endswith('": strict decoding error: json patch unknown field "[0].foo"')
        unknown = '[{"op":"add","path":"/nope","value":1}]'
        assert (await ask("PATCH", here, unknown, STEPS))[:2] == (200, ['unknown field "nope"'])
        status, _, message = await ask("PATCH", f"{here}&{strict}", unknown, STEPS)
        assert (status, message.rpartition('": ')[2]) == (
            422,
            'strict decoding error: unknown field "nope"',
        )


# A path, a merge patch, and what is said to a JSON merge patch, a strategic one, and an apply.
TYPES = [
    (MAPS, '{"data":{"k":1}}',
     "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
     '"map[data:map[k:1]]": cannot convert int64 to string',
     ".data.k: expected string, got &value.valueUnstructured{Value:1}"),
    (MAPS, '{"data":[]}',
     "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
     '"map[data:[]]": cannot restore map from slice',
     ".data: expected map, got &{[]}"),
    (MAPS, '{"immutable":"x"}',
     "json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool",
     '"map[immutable:x]": unrecognized type: bool',
     ".immutable: expected boolean, got &{x}"),
    (SETS, '{"spec":{"replicas":1.5}}',
     "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type "
     "int32",
     '"map[spec:map[replicas:1.5]]": cannot convert float64 to int32', ""),
    (SETS, '{"spec":{"strategy":[]}}',
     "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.strategy of type "
     "v1.DeploymentStrategy",
     '"map[spec:map[strategy:[]]]": cannot restore struct from: slice',
     ".spec.strategy: expected map, got &{[]}"),
    (SETS, '{"spec":{"template":{"spec":{"containers":{}}}}}',
     "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of "
     "type []v1.Container",
     '"map[spec:map[template:map[spec:map[containers:map[]]]]]": cannot restore slice from map',
     ".spec.template.spec.containers: expected list, got &{map[]}"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "patch", "merged", "strategic", "applied"), TYPES)
@pytest.mark.parametrize("mode", ["Strict", "Warn", "Ignore"])
async def test_wrong_types(
    path: str, patch: str, merged: str, strategic: str, applied: str, mode: str
) -> None:
    query = f"?dryRun=All&fieldValidation={mode}"
    async with serving() as ask:
        _, kind = NAMES[path]
        body = named(path, "n", "," + patch[1:-1])
        status, _, message = await ask("POST", path + query, body)
        assert status == 400
        assert message == f'{kind} in version "v1" cannot be handled as a {kind}: {merged}'
        status, _, message = await ask("PATCH", f"{path}/e{query}", patch, MERGE)
        assert status == 422 and message.startswith(f'{PATCHED}"{{')
        assert message.endswith(f'}}": {merged}')
        answer = await ask("PATCH", f"{path}/e{query}", patch, STRATEGIC)
        assert answer == (422, [], PATCHED + strategic)
        here = f"{path}/e{query}&fieldManager=m&force=true"
        status, _, message = await ask("PATCH", here, named(path, "e", "," + patch[1:-1]), APPLY)
        assert status == 400
        if applied:
            assert message.endswith(f"): {applied}")
        else:
            assert message == (
                "failed to convert new object (/e; apps/v1, Kind=Deployment) to proper version: "
                "unable to convert unstructured object to apps/v1, Kind=Deployment: cannot convert "
                "float64 to int32"
            )


UNRECOGNIZED = "the object provided is unrecognized (must be of type {}): "
NO_KIND = "couldn't get version/kind; json parse error: "
STRUCT = (
    'Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
    '"json:\\"kind,omitempty\\"" }'
)


@pytest.mark.parametrize(
    ("path", "media", "body", "message"),
    [
        (MAPS, JSON, "[]", f"{NO_KIND}json: cannot unmarshal array into {STRUCT} (5b5d)"),
        (WIDGETS, JSON, "[]", f"{NO_KIND}json: cannot unmarshal array into {STRUCT} (5b5d)"),
        (MAPS, YAML, "x", f"{NO_KIND}json: cannot unmarshal string into {STRUCT} (78)"),
        (MAPS, JSON, '{"kind":1}',
         f'{NO_KIND}json: cannot unmarshal number into Go struct field .kind of type string '
         '({"kind":1})'),
        (WIDGETS, JSON, "{}", "Object 'Kind' is missing in '{}' ({})"),
        (WIDGETS, JSON, "null", "Object 'Kind' is missing in 'null' (6e756c6c)"),
        (MAPS, YAML, "\t", "yaml: found character that cannot start any token (09)"),
        (MAPS, YAML, "a: .inf", "json: unsupported value: +Inf (613a202e696e66)"),
        (MAPS, JSON, "{", f"{NO_KIND}unexpected end of JSON input ({{)"),
        (WIDGETS, JSON, "{", f"{NO_KIND}unexpected end of JSON input ({{)"),
        (MAPS, JSON, '{"apiVersion":"a/b/c"}',
         'unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})'),
    ],
)  # fmt: skip
async def test_what_is_no_object(path: str, media: str, body: str, message: str) -> None:
    async with serving() as ask:
        _, kind = NAMES[path]
        answer = await ask("POST", path, body, media)
        assert answer == (400, [], UNRECOGNIZED.format(kind) + message)


REGISTERED = (
    'no kind "{}" is registered for version "{}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
)


@pytest.mark.parametrize(
    ("identity", "prefix", "message"),
    [
        (("v1", "Pod"), 'Pod in version "v1"',
         "converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
        (("apps/v1", "Deployment"), 'Deployment in version "v1"',
         "converting (v1.Deployment) to (core.ConfigMap): unknown conversion"),
        (("v1", "X"), 'X in version "v1"', REGISTERED.format("X", "v1")),
        (("v2", "ConfigMap"), 'ConfigMap in version "v2"', REGISTERED.format("ConfigMap", "v2")),
    ],
)  # fmt: skip
async def test_another_kind(identity: tuple[str, str], prefix: str, message: str) -> None:
    version_, kind = identity
    who = f'"apiVersion":"{version_}","kind":"{kind}"'
    async with serving() as ask:
        answer = await ask("POST", MAPS, f'{{{who},"metadata":{{"name":"n"}}}}')
        assert answer == (400, [], f"{prefix} cannot be handled as a ConfigMap: {message}")
        status, _, said = await ask("PATCH", f"{MAPS}/e", f"{{{who}}}", MERGE)
        assert status == 422 and said.startswith(PATCHED) and said.endswith(f'": {message}')
        # What is merged by strategy is of the type that it was.
        assert await ask("PATCH", f"{MAPS}/e", f"{{{who}}}", STRATEGIC) == (200, [], "")


@pytest.mark.parametrize(
    ("media", "mode", "body", "message"),
    [
        (MERGE, "", "[]", "error decoding patch: json: cannot unmarshal array into Go value of "
         "type map[string]interface {}"),
        (MERGE, "Ignore", '{"a"', "Invalid JSON Patch"),
        (MERGE, "", '{"a"', "error decoding patch: unexpected end of JSON input"),
        (STRATEGIC, "", "[]",
         "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (STEPS, "", "{}",
         "error decoding patch: json: cannot unmarshal object into Go value of type "
         "[]handlers.jsonPatchOp"),
        (STEPS, "Ignore", "{}",
         "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
    ],
)  # fmt: skip
async def test_what_is_no_patch(media: str, mode: str, body: str, message: str) -> None:
    async with serving() as ask:
        answer = await ask("PATCH", f"{MAPS}/e?fieldValidation={mode}", body, media)
        assert answer == (400, [], message)


@pytest.mark.parametrize("media", [MERGE, STRATEGIC, STEPS, APPLY])
async def test_the_mode_itself_is_looked_at_first(media: str) -> None:
    async with serving() as ask:
        status, _, message = await ask(
            "PATCH", f"{MAPS}/e?fieldValidation=Bogus&fieldManager=m", '{"nope"', media
        )
        assert (status, message) == (
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": '
            'supported values: "", "Ignore", "Strict", "Warn"',
        )
        if media == STRATEGIC:
            answer = await ask("PATCH", f"{WIDGETS}/e?fieldValidation=Bogus", "{}", media)
            assert answer[0] == 415


async def test_names_are_those_of_the_path() -> None:
    missing = "the name of the object (e based on URL) was undeterminable: name must be provided"
    other = "the name of the object (o) does not match the name on the URL (e)"
    elsewhere = (
        "the namespace of the provided object does not match the namespace sent on the request"
    )
    async with serving() as ask:
        for path in (MAPS, WIDGETS):
            for meta, message in (
                ('{"name":null}', missing),
                ('{"name":"o"}', other),
                ('{"name":"o","namespace":"q"}', elsewhere),
            ):
                body = named(path, "e", "").replace('{"name":"e"}', meta)
                assert await ask("PUT", f"{path}/e", body) == (400, [], message)
                patch = f'{{"metadata":{meta}}}'
                assert await ask("PATCH", f"{path}/e", patch, MERGE) == (400, [], message)
        scale = '{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"o"}}'
        assert await ask("PUT", f"{SETS}/e/scale", scale) == (400, [], other)


async def test_versions_that_name_none() -> None:
    async with serving() as ask:
        for number, text in enumerate(("x", "-1", "1.5", "99999999999999999999", "0", "")):
            body = named(MAPS, f"n{number}", "").replace(
                '"metadata":{', f'"metadata":{{"resourceVersion":"{text}",'
            )
            assert (await ask("POST", MAPS, body))[0] == 201
            if not text or text == "0":
                continue
            detail = "value out of range" if text.isdigit() else "invalid syntax"
            refused = (400, [], f'strconv.ParseUint: parsing "{text}": {detail}')
            assert await ask("PUT", f"{MAPS}/n{number}", body) == refused
            assert await ask("PATCH", f"{MAPS}/n{number}", body, MERGE) == refused
        body = named(MAPS, "one", "").replace('"metadata":{', '"metadata":{"resourceVersion":"1",')
        assert await ask("POST", MAPS, body) == (
            400, [], "resourceVersion should not be set on objects to be created",
        )  # fmt: skip
        assert (await ask("POST", f"{MAPS}?dryRun=All", body))[0] == 201
        # What is wrong with the object is said first.
        assert (await ask("POST", MAPS, body.replace('"one"', '"One"')))[0] == 422


async def test_the_uid_is_a_condition_of_a_put_only() -> None:
    async with serving() as ask:
        body = named(MAPS, "e", "").replace('"metadata":{', '"metadata":{"uid":"x",')
        status, _, message = await ask("PUT", f"{MAPS}/e", body)
        assert status == 409 and "Precondition failed: UID in precondition: x" in message
        for media in (MERGE, APPLY):
            status, _, message = await ask("PATCH", f"{MAPS}/e?fieldManager=m", body, media)
            assert status == 422
            assert 'metadata.uid: Invalid value: "x": field is immutable' in message
