"""Numbers of custom resources come back as upstream writes them, in every place, by every way in.

Go's clients read integers into integers only: a number without a fraction has no point, and no
exponent below 1e21. The table was taken from upstream's API server (v1.36.2).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apiserver.conftest import ADMIN
from tests.apiserver.crd.conftest import CRDS, WIDGETS, CrdAsker, crd_api, definition, version
from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.machinery import gotext

# As sent, as stored and shown, and as YAML shows it.
NUMBERS = {
    "0": ("0", "0"),
    "1000.0": ("1000", "1000"),
    "1e3": ("1000", "1000"),
    "1.5e3": ("1500", "1500"),
    "-0.0": ("0", "0"),
    "-0": ("0", "0"),
    "1.5": ("1.5", "1.5"),
    "1.10": ("1.1", "1.1"),
    "1e15": ("1000000000000000", "1000000000000000"),
    "1e20": ("100000000000000000000", "1e+20"),
    "1e21": ("1e+21", "1e+21"),
    "1.5e22": ("1.5e+22", "1.5e+22"),
    "1000000000000000000000": ("1e+21", "1e+21"),
    "0.000001": ("0.000001", "1e-06"),
    "1e-6": ("0.000001", "1e-06"),
    "0.0000015": ("0.0000015", "1.5e-06"),
    "1e-7": ("1e-7", "1e-07"),
    "5e-324": ("5e-324", "5e-324"),
    "1.7976931348623157e308": ("1.7976931348623157e+308", "1.7976931348623157e+308"),
    "9007199254740993": ("9007199254740993", "9007199254740993"),
    "9007199254740993.0": ("9007199254740992", "9007199254740992"),
    "1152921504606846976": ("1152921504606846976", "1152921504606846976"),
    "1152921504606846976.0": ("1152921504606847000", "1152921504606847000"),
    "9223372036854775807": ("9223372036854775807", "9223372036854775807"),
    "9223372036854775808": ("9223372036854776000", "9223372036854776000"),
    "-9223372036854775809": ("-9223372036854776000", "-9.223372036854776e+18"),
    "12345678901234567890": ("12345678901234567000", "12345678901234567000"),
    "18446744073709551616": ("18446744073709552000", "1.8446744073709552e+19"),
}
LOOSE = {"x-kubernetes-preserve-unknown-fields": True}
SPEC = {"type": "object", "properties": {"d": {"type": "number"}, "raw": LOOSE}}
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


class Number(str):
    """A number as it stands in an answer."""


def kind(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"} | LOOSE}}
    one = version(schema={"openAPIV3Schema": schema}, subresources={"status": {}})
    return definition(versions=[one], **more)


def widget(name: str, spec: str, revision: str = "") -> str:
    meta = f'{{"name":"{name}","resourceVersion":"{revision}"}}'
    return f'{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{meta},"spec":{spec}}}'


async def send(ask: CrdAsker, method: str, path: str, body: str, media: str = "") -> Any:
    path, _, query = path.partition("?")
    headers = {"content-type": media or "application/json"}
    answer = await chain.handle(
        ask.server, Request(method, path, query, headers, body.encode(), user=ADMIN)
    )
    assert answer.status < 300, answer.body
    return json.loads(answer.body, parse_int=Number, parse_float=Number)


async def test_every_way_in() -> None:
    async with crd_api(kind(SPEC)) as ask:
        for position, (sent, (served, _)) in enumerate(NUMBERS.items()):
            name = f"n{position}"
            here = f"{WIDGETS}/{name}"
            made = await send(ask, "POST", WIDGETS, widget(name, f'{{"d":{sent},"raw":[{sent}]}}'))
            assert made["spec"] == {"d": served, "raw": [served]}, sent
            body = f'{{"metadata":{{"labels":{{"a":"b"}}}},"spec":{{"raw":{{"x":{sent}}}}}}}'
            merged = await send(ask, "PATCH", here, body, MERGE)
            assert merged["spec"] == {"d": served, "raw": {"x": served}}, sent
            steps = f'[{{"op":"add","path":"/spec/raw","value":{sent}}}]'
            stepped = await send(ask, "PATCH", here, steps, "application/json-patch+json")
            assert stepped["spec"]["raw"] == served, sent
            applied = await send(
                ask, "PATCH", f"{here}?fieldManager=m&force=true",
                f"apiVersion: example.com/v1\nkind: Widget\nspec:\n  raw:\n    - {sent}\n", APPLY,
            )  # fmt: skip
            assert applied["spec"]["raw"] == [served], sent
            part = await send(ask, "PATCH", f"{here}/status", f'{{"status":{{"z":{sent}}}}}', MERGE)
            assert part["status"] == {"z": served}, sent
            revision = part["metadata"]["resourceVersion"]
            put = await send(ask, "PUT", here, widget(name, f'{{"d":{sent}}}', revision))
            assert put["spec"] == {"d": served}, sent


async def test_what_does_not_change_is_not_written() -> None:
    async with crd_api(kind(SPEC)) as ask:
        for position, sent in enumerate(NUMBERS):
            if sent == "1152921504606846976.0":
                # What was stored is another number.
                continue
            spec = f'{{"d":{sent},"raw":{sent}}}'
            made = await send(ask, "POST", WIDGETS, widget(f"n{position}", spec))
            again = widget(f"n{position}", spec, made["metadata"]["resourceVersion"])
            put = await send(ask, "PUT", f"{WIDGETS}/n{position}", again)
            assert put["metadata"] == made["metadata"], sent


async def test_yaml_in_and_out() -> None:
    async with crd_api(kind(SPEC)) as ask:
        for position, (sent, (served, listed)) in enumerate(NUMBERS.items()):
            meta = f"metadata:\n  name: n{position}\n"
            body = f"apiVersion: example.com/v1\nkind: Widget\n{meta}spec:\n  d: {sent}\n"
            made = await send(ask, "POST", WIDGETS, body, "application/yaml")
            assert made["spec"] == {"d": served}, sent
            headers = {"accept": "application/yaml"}
            path = f"{WIDGETS}/n{position}"
            answer = await chain.handle(ask.server, Request("GET", path, "", headers, user=ADMIN))
            assert f"\nspec:\n  d: {listed}\n" in answer.body.decode(), sent


@pytest.mark.parametrize("sent", ["1000.0", "1e3", "-0.0", "1e20", "1e21", "1.5", "1e-7"])
async def test_defaults_and_enumerations(sent: str) -> None:
    served, _ = NUMBERS[sent]
    number = {"type": "number", "default": "@", "enum": ["@", 7], "example": "@"}
    properties = {"d": number, "raw": LOOSE | {"default": {"a": ["@"]}}}
    spec = {"type": "object", "default": {}, "properties": properties}
    async with crd_api() as ask:
        text = json.dumps(kind(spec)).replace('"@"', sent)
        await send(ask, "POST", CRDS, text)
        await ask.until("widgets.example.com", "Established")
        stored = await send(ask, "GET", f"{CRDS}/widgets.example.com", "")
        schema = stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        kept = schema["properties"]["spec"]["properties"]
        assert (kept["d"]["default"], kept["d"]["enum"]) == (served, [served, "7"])
        assert kept["d"]["example"] == served
        assert kept["raw"]["default"] == {"a": [served]}
        body = '{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}'
        made = await send(ask, "POST", WIDGETS, body)
        assert made["spec"] == {"d": served, "raw": {"a": [served]}}
        refused = await ask("POST", WIDGETS, json.loads(widget("x", '{"d":8}')))
        assert f'supported values: "{served}", "7"' in refused[1]["message"]


async def test_integers_may_be_written_as_floats() -> None:
    integers = {"i": {"type": "integer"}, "s": {"type": "integer", "format": "int32"}}
    spec = {"type": "object", "properties": integers}
    async with crd_api(kind(spec)) as ask:
        made = await send(ask, "POST", WIDGETS, widget("a", '{"i":1e3,"s":2147483647.0}'))
        assert made["spec"] == {"i": "1000", "s": "2147483647"}
        for bad, detail in (
            ("1.5", 'must be of type integer: "number"'),
            ("-9223372036854775809", "Checked value must be of type integer (default format)"),
        ):
            body = json.loads(widget("b", f'{{"i":{bad}}}'))
            status, answer = await ask("POST", WIDGETS, body)
            assert status == 422 and detail in answer["message"], bad


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_stays_the_same_number(value: float) -> None:
    text = gotext.json_number(value)
    assert float(text) == value
    assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)
    assert ("." in text) == (not value.is_integer()) or "e" in text
    assert float(json.loads(gotext.in_go(msgspec.json.encode([value])))[0]) == value
