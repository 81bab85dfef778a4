"""``trireme controllers``: all controllers alone, for any API server.

The kubeconfig's user reads for all controllers. Each writes as its service account in kube-system,
whose token that user requests, as system:kube-controller-manager may; or all write as that user,
who then needs what they all need together, as ``system:masters`` has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import click

from trireme.cluster import flags
from trireme.cluster.commands import _component, _manager_configz, _standalone
from trireme.cluster.commands._manager_flags import GROUPS, Options, SigningFiles
from trireme.controllers.settings import Settings, Signing
from trireme.kit.env import Env
from trireme.kit.pki import Pair

_CONFIGURATION = "KubeControllerManagerConfiguration"
_TO_ZERO = "HPAScaleToZero"
_RELEASE = "ControllerManagerReleaseLeaderElectionLockOnExit"
# Gates that are looked at here, beside those without which a controller does not run.
_OWN = ("DRADeviceTaintRules", _TO_ZERO, _RELEASE)


def _run(options: Options, given: Mapping[str, str]) -> None:
    component = options.component
    access = _component.access(component)
    gates = _component.gates(component, (*_OWN, *_check(options)))

    async def main(env: Env) -> None:
        from trireme.cluster.served import Served
        from trireme.controllers import manager

        served = Served(
            name=manager.NAME,
            flags=_component.flagz(COMMAND, given),
            configz=_manager_configz.document(GROUPS, _CONFIGURATION, options, given),
        )
        accounts = manager.identities()
        async with _component.manager(options, access, served, env, accounts) as config:
            config = dataclasses.replace(
                config,
                settings=_settings(options, gates, access.tls.authority),
                election=dataclasses.replace(component.election, release=gates.get(_RELEASE, True)),
                shutdown_timeout=options.shutdown_timeout,
            )
            await manager.run(config, env)

    _standalone.run("controllers", main)


def _check(options: Options) -> set[str]:
    """Refuse what fits no other flag; the feature gates of controllers. UsageError, ValueError."""
    from trireme.controllers import manager, names
    from trireme.controllers.nodes import plan_ipam

    every = manager.definitions()
    names.Selection(options.controllers, {item.name for item in every})
    if options.allocate_node_cidrs:
        if not options.settings.node_ipam.cluster_cidrs:
            raise click.UsageError("--allocate-node-cidrs needs --cluster-cidr")
        plan_ipam.make_sets(options.settings.node_ipam)
    _signing(options.signing, options.settings.signing)
    return {item.gate for item in every if item.gate}


def _settings(options: Options, gates: Mapping[str, bool], authority: bytes) -> Settings:
    settings = options.settings
    ipam = settings.node_ipam
    return dataclasses.replace(
        settings,
        root_ca=(options.root_ca or authority).decode(),
        signing=_signing(options.signing, settings.signing),
        node_ipam=ipam
        if options.allocate_node_cidrs
        else dataclasses.replace(ipam, cluster_cidrs=()),
        autoscaling=dataclasses.replace(
            settings.autoscaling, scale_to_zero=gates.get(_TO_ZERO, False)
        ),
        feature_gates=frozenset(name for name, on in gates.items() if on),
    )


def _signing(files: SigningFiles, signing: Signing) -> Signing:
    """The authority of each signer. UsageError for half of one, and for one beside that of all."""
    of_all = _pair(files, "", "")
    signers = ("kube_apiserver_client", "kubelet_client", "kubelet_serving", "legacy_unknown")
    own = {name: _pair(files, f"{name}_", f"{name.replace('_', '-')}-") for name in signers}
    if of_all is None:
        return flags.put(signing, own)
    if any(own.values()):
        raise click.UsageError(
            "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file"
            " flags at the same time"
        )
    return dataclasses.replace(Signing.by(of_all), duration=signing.duration)


def _pair(files: SigningFiles, to: str, name: str) -> Pair | None:
    certificate, key = flags.at(files, f"{to}certificate"), flags.at(files, f"{to}key")
    if bool(certificate) != bool(key):
        flag = f"--cluster-signing-{name}"
        raise click.UsageError(f"{flag}cert-file and {flag}key-file need each other")
    return Pair(certificate, key) if certificate else None


COMMAND = flags.Command(GROUPS, Options(), _run, "Run the controllers alone in the foreground.")
