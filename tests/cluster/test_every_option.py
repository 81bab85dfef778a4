"""Every option of every command says what is wrong with a bad value, before anything is done.

Options are checked by their click types, so that nothing runs here. An option without bad values
below fails the test: what would it take that it should not?
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from trireme.cluster.command_line import cli
from trireme.cluster.flags import Kind

NAMES = ["", "-", "Upper", "a b", "x" * 254, "ä", "../x", "a\nb", "a/b"]
NUMBERS = ["", "x", "-1", "1.5", "0x10", "99999999999999999999999"]
PORTS = [*NUMBERS, "0", "65536", "99999"]
ADDRESSES = ["", "x", "1.2.3", "1.2.3.4.5", "01.2.3.4", "fe80::1%eth0", "1.2.3.4/8", "::g"]
ADDRESS_PORTS = ["", "53", ":53", "host:53", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "::1"]
CIDRS = ["", "x", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "300.0.0.0/8", "10.0.0.0/8 "]
NO_DURATIONS = ["", "x", "10", "-1s", "1d", "10 s", "1s1", "99999999999h"]
DURATIONS = [*NO_DURATIONS, "0s"]
INTEGERS = ["", "x", "1.5", "0x10"]
PATHS = ["", "relative", "a\nb"]
FILES = ["", "/nowhere", "/"]

BAD = {
    "--name": NAMES,
    "--max-nodes": [*NUMBERS, "0", "201"],
    "--nodes": [*NUMBERS, "0", "201"],
    "--control-planes": [*NUMBERS, "0", "8"],
    "--datastore": ["", "etcd", "mysql:x", "sqlite", "sqlite:", "Memory"],
    "up --datastore": ["", "etcd:", "mysql:x", "sqlite", "sqlite:", "Memory"],
    "--api-port": PORTS,
    "--port": PORTS,
    "--outside": [*CIDRS, "fd00::/8"],
    "--example": ["/nowhere", "/etc/passwd"],
    "--listen": ADDRESSES,
    "dns --listen": ADDRESS_PORTS,
    "--health": ADDRESS_PORTS,
    "--state-dir": ["", "/etc/passwd"],
    "--max-requests-inflight": NUMBERS,
    "--max-mutating-requests-inflight": NUMBERS,
    "--kube-apiserver-arg": ["", "x", "x=1", "max-requests-inflight", "runtime-config=no/v1=true"],
    "apiserver --feature-gates": ["x", "Nonsense=true", "PodLevelResources=maybe", "AllAlpha"],
    "apiserver --runtime-config": ["x", "no/v1=true", "api/beta=maybe"],
    "--node": ["", "n", "=", "n=", "=192.0.2.1", "N=192.0.2.1", "n=host", "n=1.2.3"],
    "--kubeconfig": FILES,
    "--domain": NAMES,
    "--node-name": NAMES,
    "--node-ip": ADDRESSES,
    "--pod-cidr": CIDRS,
    "--service-cidr": CIDRS,
    "--cluster-cidr": CIDRS,
    "kubelet --cloud-provider": ["aws", "External"],
    "kubelet --hostname-override": NAMES,
    "kubelet --config": FILES,
    "kubelet --config-dir": ["/nowhere", "/etc/passwd"],
    "kubelet --node-labels": ["a", "=b", "a b=c", "a=b c"],
    "cloud --route-reconciliation-period": DURATIONS,
    "cloud --node-monitor-period": DURATIONS,
    "--node-status-update-frequency": DURATIONS,
    "cloud --concurrent-service-syncs": [*NUMBERS, "0"],
    "--concurrent-node-syncs": [*NUMBERS, "0"],
    "--scan-interval": DURATIONS,
    "--new-pod-scale-up-delay": NO_DURATIONS,
    "--expendable-pods-priority-cutoff": [*INTEGERS, "2147483648"],
    "--expander": ["", "price", "least-waste,random"],
    "--max-nodes-total": NUMBERS,
    "--max-node-provision-time": DURATIONS,
    "--initial-node-group-backoff-duration": DURATIONS,
    "--max-node-group-backoff-duration": DURATIONS,
    "--scale-down-utilization-threshold": ["", "x", "-0.1", "1.1"],
    "--scale-down-unneeded-time": DURATIONS,
    "--scale-down-unready-time": DURATIONS,
    "--scale-down-delay-after-add": NO_DURATIONS,
    "--scale-down-delay-after-delete": NO_DURATIONS,
    "--scale-down-delay-after-failure": NO_DURATIONS,
    "--max-scale-down-parallelism": [*NUMBERS, "0"],
    "--max-drain-parallelism": [*NUMBERS, "0"],
    "--max-graceful-termination-sec": NUMBERS,
    "--max-pod-eviction-time": DURATIONS,
    "--max-bulk-soft-taint-count": NUMBERS,
    "--status-config-map-name": NAMES,
    "--provider-id": ["", "x", "://x", "x://", "a b://c"],
    "--table": ["", "1x", "a b", "a;b", "x" * 64, "ä"],
    "--runtime": ["", "tcp://x", "unix://", "unix:x", "/run/x.sock"],
    "--root-dir": PATHS,
    "--logs-dir": PATHS,
    "--cgroup-parent": PATHS,
    "--cluster-dns": ADDRESSES,
    "--cluster-domain": NAMES,
    "--tls-cert-file": FILES,
    "--tls-private-key-file": FILES,
    "--client-ca-file": FILES,
    "--folder": ["/nowhere", "/etc/passwd"],
    "--package": ["", "-x", "A", "a b", "a;b", "../x"],
    "--env": ["", "x", "=x"],
    "--user": ["", "a b", "a:b:c", ":", "ä"],
    "--workdir": PATHS,
    "--output": ["/"],
}
# Flags of a table, by the kind of their values.
KINDS = {
    "bool": ["", "maybe", "2"],
    "cidrs": [*CIDRS, "10.0.0.0/8,"],
    "ciphers": ["", "RC4", "TLS_AES"],
    "duration": ["", "x", "-1s", "1", "1 s"],
    "file": FILES,
    "float": ["", "x", "-1", "1e9", "nan"],
    "folder": ["", "a\nb"],
    "gates": ["", "x", "=true", "A=", "A=maybe", "A=true,"],
    "int": ["", "x", "1.5", "0x10", "99999999999999999999999"],
    "ip": ADDRESSES,
    "metrics": ["", "a b", "1a", "a,"],
    "name": NAMES,
    "plugins": ["", "a b", "x1", "A,"],
    "paths": ["", "healthz", "/a b", "/a,"],
    "provider": ["", "a b", "a:", ":a", "a:b:c", "/a"],
    "refused": ["", "something", "2"],
    "string": ["", "Upper", "a b", "1"],
    "strings": ["", "*,", "A", "a b", "-"],
    "headers": ["", "a b", "a:", "a,"],
    "pairs": ["", "x", "=x", "A="],
    "socket": ["", "a b"],
    "ips": ADDRESSES,
    "taints": ["", "a", "a=b", "=b:NoSchedule", "a=b:Never"],
    "target": ["", "/"],
    "text": ["", "a\nb", "ä"],
    "texts": ["", "a\nb", "ä", "a,"],
    "files": FILES,
    "path": ["", "a b", "ä"],
    "urls": ["", "ftp://x", "http://x/y"],
    "url": ["", "host", "ftp://x", "http:// x"],
}
# What they take is a program's own word.
WORDS = {"--entrypoint", "--cmd"}
ARGUMENTS = {
    "image": ["", "UPPER", "a b", "a:", "a@sha256:1", "/a"],
    "names": ["", "UPPER", "a b"],
    "file": ["/"],
    "archive": FILES,
    "component": ["", "../x", "/etc/passwd", "a b"],
}


Words = tuple[str, ...]


def commands(group: click.Group, words: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from commands(command, (*words, name))
            else:
                yield (*words, name), command


def cases() -> Iterator[tuple[Words, str, str]]:
    for words, command in commands(cli):
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                for value in ARGUMENTS[parameter.name or ""]:
                    yield words, "", value
            elif isinstance(parameter, click.Option) and not parameter.is_flag:
                option = max(parameter.opts, key=len)
                if option not in WORDS:
                    of_kind = KINDS[parameter.type.name] if _of_table(parameter) else []
                    own = BAD.get(f"{words[-1]} {option}") or BAD.get(option, [])
                    assert of_kind or own, f"{words} {option}"
                    for value in dict.fromkeys([*of_kind, *own]):
                        yield words, option, value


def _of_table(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, Kind)


@pytest.mark.parametrize(("words", "option", "value"), list(cases()))
def test_a_bad_value_is_refused_by_name(
    words: Words,
    option: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    given = [option, value] if option else ["--", value]
    with pytest.raises(click.UsageError) as refused:
        cli.main([*words, *given], standalone_mode=False)
    assert not isinstance(refused.value, click.MissingParameter)
    if option:
        assert option in refused.value.format_message()
    assert list(tmp_path.iterdir()) == []


def test_a_flag_takes_no_value() -> None:
    for words, command in commands(cli):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.is_flag:
                option = max(parameter.opts, key=len)
                with pytest.raises(click.UsageError, match=option):
                    cli.main([*words, f"{option}=x"], standalone_mode=False)


@pytest.mark.parametrize("words", [words for words, _ in commands(cli)], ids="-".join)
def test_every_command_has_help(words: Words) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    (command,) = (found for path, found in commands(cli) if path == words)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert max(parameter.opts, key=len) in result.output
