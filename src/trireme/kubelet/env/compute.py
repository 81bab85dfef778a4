"""A container's environment variables. Pure.

In: ``Inputs``: the pod, the container, Services and every object that it refers to. Out: name to
value in the order of definition. Called by sync/execute, which fetches ``references`` first. Rules:
reference "Environment". Later definitions win, Services' variables lose against all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.env import downward, envfile, expand, services

Reference = tuple[str, str]  # "ConfigMap" or "Secret", and its name


class ConfigError(ValueError):
    """The environment is invalid; the container waits with CreateContainerConfigError."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """``objects`` holds ``None`` for what does not exist; ``env_file`` reads the file of a
    fileKeyRef, and raises ``ConfigError`` where there is none."""

    pod: core.Pod
    container: core.Container
    services: Iterable[core.Service] = ()
    objects: Mapping[Reference, core.ConfigMap | core.Secret | None] = {}
    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = {}
    env_file: Callable[[core.FileKeySelector], bytes] | None = None


def references(container: core.Container) -> set[Reference]:
    """The ConfigMaps and Secrets that ``compute`` needs."""
    found: set[Reference] = set()
    for source in container.envFrom:
        if source.configMapRef is not None:
            found.add(("ConfigMap", source.configMapRef.name))
        if source.secretRef is not None:
            found.add(("Secret", source.secretRef.name))
    for variable in container.env:
        if variable.valueFrom is None:
            continue
        if variable.valueFrom.configMapKeyRef is not None:
            found.add(("ConfigMap", variable.valueFrom.configMapKeyRef.name))
        if variable.valueFrom.secretKeyRef is not None:
            found.add(("Secret", variable.valueFrom.secretKeyRef.name))
    return found


def compute(inputs: Inputs) -> dict[str, str]:
    """The environment. Raises ``ConfigError``."""
    links = inputs.pod.spec.enableServiceLinks is not False
    of_services = services.variables(inputs.services, inputs.pod.metadata.namespace, links=links)
    own: dict[str, str] = {}
    for source in inputs.container.envFrom:
        own.update(_env_from(inputs, source))
    for variable in inputs.container.env:
        value = _value(inputs, variable, own, of_services)
        if value is not None:
            own[variable.name] = value
    return {**{k: v for k, v in of_services.items() if k not in own}, **own}


def _env_from(inputs: Inputs, source: core.EnvFromSource) -> dict[str, str]:
    if source.configMapRef is not None:
        data = _data(inputs, "ConfigMap", source.configMapRef)
    elif source.secretRef is not None:
        data = _data(inputs, "Secret", source.secretRef)
    else:
        return {}
    return {source.prefix + key: data[key] for key in sorted(data)} if data else {}


def _value(
    inputs: Inputs,
    variable: core.EnvVar,
    own: Mapping[str, str],
    of_services: Mapping[str, str],
) -> str | None:
    """The value, or ``None`` when an optional source is missing."""
    if variable.value or variable.valueFrom is None:
        return expand.expand(variable.value, own, of_services)
    source = variable.valueFrom
    try:
        if source.fieldRef is not None:
            return downward.env_field(
                inputs.pod, source.fieldRef.fieldPath, inputs.pod_ips, inputs.host_ips
            )
        if source.resourceFieldRef is not None:
            return downward.resource(
                inputs.pod, source.resourceFieldRef, inputs.container.name, inputs.allocatable
            )
    except downward.Unsupported as problem:
        raise ConfigError(str(problem)) from problem
    if source.configMapKeyRef is not None:
        return _key(inputs, "ConfigMap", source.configMapKeyRef)
    if source.secretKeyRef is not None:
        return _key(inputs, "Secret", source.secretKeyRef)
    if source.fileKeyRef is not None:
        return _file_key(inputs, source.fileKeyRef)
    return ""


def _key(
    inputs: Inputs, kind: str, ref: core.ConfigMapKeySelector | core.SecretKeySelector
) -> str | None:
    data = _data(inputs, kind, ref)
    if data is None:
        return None
    if ref.key in data:
        return data[ref.key]
    if ref.optional:
        return None
    name = f"{inputs.pod.metadata.namespace}/{ref.name}"
    raise ConfigError(f"couldn't find key {ref.key} in {kind} {name}")


def _data(
    inputs: Inputs,
    kind: str,
    ref: core.ConfigMapKeySelector
    | core.SecretKeySelector
    | core.ConfigMapEnvSource
    | core.SecretEnvSource,
) -> dict[str, str] | None:
    """The object's data as text; ``None`` when it is optional and missing."""
    name, optional = ref.name, ref.optional
    found = inputs.objects.get((kind, name))
    if found is None:
        if optional:
            return None
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    if isinstance(found, core.ConfigMap):
        return found.data
    return {key: value.decode("utf-8", "surrogateescape") for key, value in found.data.items()}


def _file_key(inputs: Inputs, ref: core.FileKeySelector) -> str | None:
    if inputs.env_file is None:
        raise ConfigError(f'cannot find the volume "{ref.volumeName}" referenced by FileKeyRef')
    try:
        value = envfile.value(inputs.env_file(ref), ref.key)
    except ConfigError:
        raise
    except ValueError as problem:
        raise ConfigError("couldn't parse env file") from problem
    if value or ref.optional:
        return value or None
    raise ConfigError(f'environment variable key "{ref.key}" not found in file "{ref.path}"')
