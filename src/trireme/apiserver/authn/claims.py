"""What the claims of a verified token make of its bearer.

In: an issuer's compiled configuration, claims as plain JSON. Out: the user, or ``Rejected``.
Called by ``oidc``. Pure. Upstream: apiserver ``plugin/pkg/authenticator/token/oidc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trireme.apiserver.authn.configuration import Authenticator, Rule
from trireme.apiserver.authn.contract import Rejected
from trireme.apiserver.authn.service_accounts import CREDENTIAL_ID
from trireme.apiserver.request import User
from trireme.expr import cel

Claims = Mapping[str, Any]
# Go's words for the types of JSON.
_KINDS = {
    bool: "bool",
    str: "string",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def user_of(issuer: Authenticator, claims: Claims) -> User:
    """The user, once all rules hold."""
    values = {"claims": _as_go(claims)}
    name = _username(issuer, claims, values)
    groups = _groups(issuer, claims, values)
    uid = _uid(issuer, claims, values)
    user = User(name, uid, groups, _extra(issuer, claims, values))
    for rule in issuer.config.claimValidationRules:
        if rule.claim:
            _check_required(claims, rule.claim, rule.requiredValue)
    what = "error evaluating claim validation expression"
    _check_rules(issuer.claim_rules, values, what)
    info = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(items) for key, items in user.extra.items()},
    }
    _check_rules(issuer.user_rules, {"user": info}, "error evaluating user info validation rule")
    return user


def _username(issuer: Authenticator, claims: Claims, values: Mapping[str, Any]) -> str:
    mapping = issuer.config.claimMappings.username
    if issuer.username is not None:
        name = _evaluated(issuer.username, values, "error evaluating username claim expression")
        if not isinstance(name, str):
            raise Rejected(
                "oidc: error evaluating username claim expression: "
                "username claim expression must return a string"
            )
        if not name:
            raise Rejected("oidc: empty username via CEL expression is not allowed")
        return name
    name = _text(claims, mapping.claim, f'parse username claims "{mapping.claim}"')
    if mapping.claim == "email" and "email_verified" in claims:
        verified = claims["email_verified"]
        if verified is not None and not isinstance(verified, bool):
            problem = f"cannot unmarshal {_kind(verified)} into Go value of type bool"
            raise Rejected(f"oidc: parse 'email_verified' claim: json: {problem}")
        if not verified:
            raise Rejected("oidc: email not verified")
    return (mapping.prefix or "") + name


def _groups(issuer: Authenticator, claims: Claims, values: Mapping[str, Any]) -> tuple[str, ...]:
    mapping = issuer.config.claimMappings.groups
    if mapping.claim and mapping.claim in claims:
        found = claims[mapping.claim]
        if found is None:
            found = []
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
            problem = f"cannot unmarshal {_kind(found)} into Go value of type string"
            raise Rejected(f'oidc: parse groups claim "{mapping.claim}": json: {problem}')
        return tuple((mapping.prefix or "") + item for item in texts)
    if issuer.groups is None:
        return ()
    what = "error evaluating group claim expression"
    return _texts(_evaluated(issuer.groups, values, what), what)


def _uid(issuer: Authenticator, claims: Claims, values: Mapping[str, Any]) -> str:
    claim = issuer.config.claimMappings.uid.claim
    if claim:
        return _text(claims, claim, f'parse uid claim "{claim}"')
    if issuer.uid is None:
        return ""
    what = "error evaluating uid claim expression"
    uid = _evaluated(issuer.uid, values, what)
    if not isinstance(uid, str):
        raise Rejected(f"oidc: {what}: uid claim expression must return a string")
    return uid


def _extra(
    issuer: Authenticator, claims: Claims, values: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    extra: dict[str, tuple[str, ...]] = {}
    if isinstance(claims.get("jti"), str) and claims["jti"]:
        extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
    for key, program in issuer.extra:
        what = f"error evaluating extra claim expression: {program.text}"
        texts = _texts(_evaluated(program, values, what), what)
        if texts:
            extra[key] = texts
    return extra


def _check_required(claims: Claims, claim: str, value: str) -> None:
    if claim not in claims:
        raise Rejected(f"oidc: required claim {claim} not present in ID token")
    found = _text(claims, claim, f"parse claim {claim}")
    if found != value:
        raise Rejected(
            f"oidc: required claim {claim} value does not match. Got = {found}, want = {value}"
        )


def _check_rules(rules: Iterable[Rule], values: Mapping[str, Any], what: str) -> None:
    for rule in rules:
        if _evaluated(rule.program, values, what) is not True:
            problem = f"validation expression '{rule.program.text}' failed"
            message = f": {rule.message}" if rule.message else ""
            raise Rejected(f"oidc: {what}: {problem}{message}")


def _evaluated(program: cel.Program, values: Mapping[str, Any], what: str) -> Any:
    try:
        return program.evaluate(values)[0]
    except cel.EvalError as error:
        raise Rejected(f"oidc: {what}: {error}") from None


def _texts(value: Any, what: str) -> tuple[str, ...]:
    """A text or a list of texts; what is empty is not there."""
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(item, str) for item in texts):
        raise Rejected(f"oidc: {what}: expression must return a string or a list of strings")
    return tuple(item for item in texts if item)


def _text(claims: Claims, claim: str, what: str) -> str:
    if claim not in claims:
        raise Rejected(f"oidc: {what}: claim not present")
    value = claims[claim]
    if value is None:
        return ""
    if not isinstance(value, str):
        problem = f"cannot unmarshal {_kind(value)} into Go value of type string"
        raise Rejected(f"oidc: {what}: json: {problem}")
    return value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _as_go(value: Any) -> Any:
    """JSON as Go decodes it without a type: every number is a float."""
    if isinstance(value, dict):
        return {key: _as_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_go(item) for item in value]
    return float(value) if type(value) is int else value
