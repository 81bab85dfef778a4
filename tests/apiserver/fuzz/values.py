"""Random JSON values: such as a schema describes, mostly, and such as nobody would send.

In: a generator and the published definitions. Out: plain values that ``json.dumps`` can write.
"""

from __future__ import annotations

from random import Random
from typing import Any

NAMES = ("a", "b", "c-1", "default", "kubernetes", "web.example.com")
WORDS = (
    *NAMES, "", "v1", "Pod", "apps/v1", "ConfigMap", "Deployment", "100Mi", "1500m", "-1", "0",
    "25%", "IfNotPresent", "ClusterFirst", "Always", "TCP", "UDP", "*", "All", "true", "80",
    "10.0.0.1", "10.96.0.0/12", "fe80::1", "2001:db8::/32", "http://127.0.0.1:1/", "/", "../..",
    "a/b", "a=b", "a in (b)", "!a", "app.kubernetes.io/name", "kubernetes.io/os", "nginx:1.25",
    "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000000Z", "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z", "1h30m", "*/5 * * * *", "@hourly", "Europe/Berlin", "(a+)+$", "[",
    "self.spec.x == 1", "has(self.a) && self.a.size() < 5", "$(VAR)", "{.status.x}", "\x00",
    "\ud800", "ü", "\u202e", "\U0001f6a3", "a" * 64, "a" * 254, "x" * 5000, "\n", " a ",
    "system:node:a", "system:masters", "foregroundDeletion", "kubernetes", "orphan", "e30=",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "null", "1e3", "0x10",
    "9223372036854775808", "1e400", "-0", "1E", "1Ei", "0.0000000000001", "NaN",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 80, 443, 8080, 65535, 65536, 420, 511, 512, 2**31 - 1, 2**31, -(2**31) - 1,
    2**53, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, 0.5, -0.0, 1e15, 1e308, 5e-324,
    float("inf"), float("nan"), 1.0, 3600, 86400 * 365 * 300,
)  # fmt: skip
_DEEPEST = 12


class Values:
    """Values drawn by one generator over one set of definitions."""

    def __init__(self, rng: Random, definitions: dict[str, Any]) -> None:
        self.rng = rng
        self.definitions = definitions

    def rubbish(self, depth: int = 0) -> Any:
        """Any JSON at all."""
        rng = self.rng
        kind = rng.randrange(9 if depth < 3 else 6)
        if kind < 2:
            return rng.choice(WORDS)
        if kind < 4:
            return rng.choice(NUMBERS)
        if kind < 6:
            return rng.choice((None, True, False, [], {}))
        if kind == 6:
            return [self.rubbish(depth + 1) for _ in range(rng.randrange(3))]
        return {rng.choice(WORDS): self.rubbish(depth + 1) for _ in range(rng.randrange(4))}

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """A value of the schema, now and then one of none."""
        rng = self.rng
        if rng.random() < 0.01:
            return self.rubbish()
        reference = schema.get("$ref")
        if reference is None and "allOf" in schema:
            return self.of(schema["allOf"][0], depth)
        if reference is not None:
            return self.of(self.definitions[reference.rpartition("/")[2]], depth)
        if "enum" in schema and rng.random() < 0.9:
            return rng.choice(schema["enum"])
        shape = schema.get("type")
        if shape == "object" or "properties" in schema:
            return self._object(schema, depth)
        if shape == "array":
            if depth > _DEEPEST:
                return []
            return [self.of(schema["items"], depth + 1) for _ in range(rng.choice((0, 1, 1, 2)))]
        if shape == "string":
            return self._text(schema.get("format", ""))
        if shape in ("integer", "number"):
            return rng.choice(NUMBERS)
        if shape == "boolean":
            return rng.random() < 0.5
        if "oneOf" in schema:
            return self.of(rng.choice(schema["oneOf"]), depth)
        return self.rubbish()

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        rng = self.rng
        made: dict[str, Any] = {}
        needed = schema.get("required", ())
        chance = 0.5 if depth < 3 else 0.25 if depth < 6 else 0.1
        for name, inner in schema.get("properties", {}).items():
            if name in needed or (depth <= _DEEPEST and rng.random() < chance):
                made[name] = self.of(inner, depth + 1)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for _ in range(rng.randrange(3)):
                made[rng.choice(WORDS)] = self.of(extra, depth + 1)
        return made

    def _text(self, format_: str) -> Any:
        if format_ == "int-or-string" and self.rng.random() < 0.5:
            return self.rng.choice(NUMBERS)
        return self.rng.choice(WORDS)

    def changed(self, value: Any) -> Any:
        """A copy with one place changed: taken out, replaced, doubled, or put elsewhere."""
        rng = self.rng
        if isinstance(value, dict) and value:
            key = rng.choice(list(value))
            if rng.random() < 0.75:
                return {**value, key: self.changed(value[key])}
            rest = {name: item for name, item in value.items() if name != key}
            change = rng.randrange(4)
            if change == 0:
                return rest
            if change == 1:
                return {**rest, rng.choice(WORDS): value[key]}
            return {**rest, key: self.rubbish()}
        if isinstance(value, list) and value:
            at = rng.randrange(len(value))
            change = rng.randrange(6)
            if change == 0:
                return value[:at] + value[at + 1 :]
            if change == 1:
                return [*value, value[at]]
            if change == 2:
                return [*value[:at], self.rubbish(), *value[at:]]
            return [*value[:at], self.changed(value[at]), *value[at + 1 :]]
        if isinstance(value, str) and rng.random() < 0.6:
            return rng.choice(WORDS)
        if isinstance(value, int | float) and rng.random() < 0.6:
            return rng.choice(NUMBERS)
        return self.rubbish()


def paths(value: Any, at: str = "") -> list[str]:
    """The JSON pointers of a value's places."""
    found = [at]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += paths(item, f"{at}/{number}")
    return found
