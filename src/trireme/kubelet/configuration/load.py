"""From files, drop-ins and flags to a KubeletConfiguration. Pure.

In: texts, and settings of flags by the paths of fields. Out: the configuration, validated, or
ValueError with every problem. Called by the composition root. Rules:
tasks/administer-cluster/kubelet-config-file: a drop-in is merged over what is before it as a JSON
merge patch, in the order of names; flags come last. Unknown fields are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trireme.kubelet import thresholds
from trireme.kubelet.configuration.types import NOT_SERVED, KubeletConfiguration
from trireme.machinery import configuration, names, quantity, time
from trireme.machinery.patch import merge_patch

GROUP, KIND = "kubelet.config.k8s.io", "KubeletConfiguration"
_LOGGING = frozenset(("format", "flushFrequency", "verbosity", "vmodule", "options"))
POLICIES = (
    "NeverVerify",
    "NeverVerifyPreloadedImages",
    "NeverVerifyAllowlistedImages",
    "AlwaysVerify",
)


def load(
    base: bytes | None,
    drop_ins: Iterable[tuple[str, bytes]] = (),
    flags: Mapping[str, Any] = {},
) -> KubeletConfiguration:
    """``drop_ins``: path and content, in order; ``flags``: path of a field to its value."""
    plain = _defaulted(_document(base)) if base is not None else _defaulted({})
    for path, content in drop_ins:
        try:
            plain = merge_patch.apply(plain, _document(content))
        except ValueError as error:
            raise ValueError(
                f"failed to load kubelet dropin file, path: {path}, error: {error}"
            ) from None
    for at, value in flags.items():
        *above, name = at.split(".")
        here = plain
        for step in above:
            here = here.setdefault(step, {})
        here[name] = value
    return _checked(plain)


def _document(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = configuration.decode(content, GROUP, KIND, ("v1beta1",), dict)
    _decoded(found)
    return _without_zeros(found)


def _decoded(plain: Mapping[str, Any]) -> KubeletConfiguration:
    """What is served of a document, the rest of which says what is so anyway. ValueError."""
    _check_served(plain)
    served = {name: value for name, value in plain.items() if name not in NOT_SERVED}
    return configuration.convert(served, KubeletConfiguration)


def _without_zeros(plain: Any) -> dict[str, Any]:
    """Zero durations and empty texts mean the default."""
    return {
        name: _without_zeros(value) if isinstance(value, dict) else value
        for name, value in plain.items()
        if value not in ("", "0s")
    }


def _defaulted(plain: dict[str, Any]) -> dict[str, Any]:
    """With the default of evictionHard, over which drop-ins are merged key by key."""
    hard = plain.get("evictionHard")
    if not hard:
        hard = dict(thresholds.HARD)
    elif plain.get("mergeDefaultEvictionSettings"):
        hard = {**thresholds.HARD, **hard}
    return {**plain, "evictionHard": hard}


def _check_served(plain: Mapping[str, Any]) -> None:
    for name, field in NOT_SERVED.items():
        if name not in plain:
            continue
        value = plain[name]
        if value in (field.default, None, "", "0s") or value in ({}, []):
            continue
        if name == "logging" and set(value) <= _LOGGING and value.get("format", "text") == "text":
            continue
        raise ValueError(f"{name}: {value!r} is not supported: {field.reason}")


def _checked(plain: dict[str, Any]) -> KubeletConfiguration:
    found = _decoded(plain)
    problems = list(_problems(found))
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return found


def _problems(config: KubeletConfiguration) -> Iterable[str]:
    """In upstream's words."""
    for name in (
        "syncFrequency",
        "nodeStatusUpdateFrequency",
        "nodeStatusReportFrequency",
        "imageMinimumGCAge",
        "evictionPressureTransitionPeriod",
        "shutdownGracePeriod",
        "shutdownGracePeriodCriticalPods",
        "crashLoopBackOff.maxContainerRestartPeriod",
        "authentication.webhook.cacheTTL",
        "authorization.webhook.cacheAuthorizedTTL",
        "authorization.webhook.cacheUnauthorizedTTL",
    ):
        value: Any = config
        for step in name.split("."):
            value = getattr(value, step)
        try:
            time.parse_duration(value)
        except ValueError as error:
            yield f"{name}: {error}"
            return

    def wrong(name: str, flag: str, value: Any, rule: str) -> str:
        return f"invalid configuration: {name} (--{flag}) {value} {rule}"

    if config.nodeLeaseDurationSeconds <= 0:
        yield "invalid configuration: nodeLeaseDurationSeconds must be greater than 0"
    for name, flag, most in (
        ("imageGCHighThresholdPercent", "image-gc-high-threshold", 100),
        ("imageGCLowThresholdPercent", "image-gc-low-threshold", 100),
    ):
        value = getattr(config, name)
        if not 0 <= value <= most:
            yield wrong(name, flag, value, f"must be between 0 and {most}, inclusive")
    low, high = config.imageGCLowThresholdPercent, config.imageGCHighThresholdPercent
    if low >= high:
        yield (
            f"invalid configuration: imageGCLowThresholdPercent (--image-gc-low-threshold) {low} "
            f"must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) {high}"
        )
    for name, flag in (("maxPods", "max-pods"), ("podsPerCore", "pods-per-core")):
        if getattr(config, name) < 0:
            yield wrong(name, flag, getattr(config, name), "must not be a negative number")
    if not 1 <= config.port <= 65535:
        yield wrong("port", "port", config.port, "must be between 1 and 65535, inclusive")
    if config.maxParallelImagePulls is not None and config.maxParallelImagePulls < 1:
        pulls = config.maxParallelImagePulls
        yield f"invalid configuration: maxParallelImagePulls {pulls} must be a positive number"
    if config.serializeImagePulls and (config.maxParallelImagePulls or 1) > 1:
        yield (
            "invalid configuration: maxParallelImagePulls cannot be larger than 1 unless "
            "SerializeImagePulls (--serialize-image-pulls) is set to false"
        )
    yield from _shutdown_problems(config)
    longest = time.parse_duration(config.crashLoopBackOff.maxContainerRestartPeriod)
    if not 1 <= longest <= 300:
        yield (
            "invalid configuration: CrashLoopBackOff.MaxContainerRestartPeriod (got: "
            f"{longest:g} seconds) must be set between 1s and 300s"
        )
    policy = config.imagePullCredentialsVerificationPolicy
    if policy not in POLICIES:
        valid = ", ".join(f'"{name}"' for name in POLICIES[:-1]) + f' or "{POLICIES[-1]}"'
        yield (
            f'invalid configuration: option "{policy}" specified for '
            f"imagePullCredentialsVerificationPolicy. Valid options are {valid}"
        )
    if config.preloadedImagesVerificationAllowlist and policy != POLICIES[2]:
        yield (
            "invalid configuration: can't set `preloadedImagesVerificationAllowlist` if "
            '`imagePullCredentialsVertificationPolicy` is not "NeverVerifyAllowlistedImages"'
        )
    if config.containerLogMaxFiles <= 1:
        yield "invalid configuration: containerLogMaxFiles must be greater than 1"
    if not config.podLogsDir.startswith("/"):
        yield f'invalid configuration: pod logs path "{config.podLogsDir}" must be absolute path'
    if config.authorization.mode not in ("Webhook", "AlwaysAllow"):
        yield f'unknown authorization mode "{config.authorization.mode}"'
    for address in config.clusterDNS:
        if names.parse_ip_strict(address) is None:
            yield f'clusterDNS: "{address}" is not an IP address'
    for name in ("systemReserved", "kubeReserved"):
        yield from _reservation_problems(name, getattr(config, name))
    try:
        thresholds.parse(
            config.evictionHard or {},
            config.evictionSoft,
            config.evictionSoftGracePeriod,
            config.evictionMinimumReclaim,
        )
        quantity.parse(config.containerLogMaxSize)
    except ValueError as error:
        yield str(error)
    if config.imageServiceEndpoint not in ("", config.containerRuntimeEndpoint):
        yield "imageServiceEndpoint: not supported: one runtime serves containers and images"


def _shutdown_problems(config: KubeletConfiguration) -> Iterable[str]:
    whole = time.parse_duration(config.shutdownGracePeriod)
    critical = time.parse_duration(config.shutdownGracePeriodCriticalPods)
    if critical > whole:
        yield (
            f"invalid configuration: shutdownGracePeriodCriticalPods {critical:g}s must be <= "
            f"shutdownGracePeriod {whole:g}s"
        )
    for name, seconds in (
        ("shutdownGracePeriod", whole),
        ("shutdownGracePeriodCriticalPods", critical),
    ):
        if seconds and seconds < 1:
            yield (
                f"invalid configuration: {name} {time.format_duration(seconds)} must be either "
                "zero or otherwise >= 1 sec"
            )
    if config.shutdownGracePeriodByPodPriority and (whole or critical):
        yield (
            "invalid configuration: Cannot specify both shutdownGracePeriodByPodPriority and "
            "shutdownGracePeriod at the same time"
        )


def _reservation_problems(name: str, of: Mapping[str, str]) -> Iterable[str]:
    for resource, text in of.items():
        if resource not in ("cpu", "memory", "ephemeral-storage", "pid"):
            yield f'cannot reserve "{resource}" resource'
            continue
        try:
            if quantity.parse(text) < quantity.of(0):
                yield f'resource quantity for "{resource}" cannot be negative: {text}'
        except ValueError as error:
            yield f"{name}: {error}"
