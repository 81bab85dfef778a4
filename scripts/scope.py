"""Makes docs/scope.md from the code: what there is of Kubernetes v1.36, and what is not yet.

`python scripts/scope.py --write` writes the page, without it the page is printed. The names that
upstream has are in scripts/upstream-names.toml.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import click

from trireme import api, cloud, controllers
from trireme.api.catalog import Catalog
from trireme.apiserver import gates, unimplemented
from trireme.apiserver.admission import order
from trireme.cloud.definition import Definition as CloudDefinition
from trireme.cluster import command_line
from trireme.controllers.definition import Definition
from trireme.kit import catalog
from trireme.kubelet.sync import image_volumes
from trireme.kubelet.volumes import manager as volume_manager
from trireme.kubelet.volumes import plugins as volume_plugins
from trireme.kubelet.volumes.plugin import Plugin as VolumePlugin
from trireme.machinery.resource import Resource
from trireme.scheduler import binding_cycle, preempt, profile, queue

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scope.md"
UPSTREAM = tomllib.loads((ROOT / "scripts" / "upstream-names.toml").read_text())

# What upstream calls scheduler plugins and is a part of the scheduler here.
SCHEDULER_PARTS: dict[str, ModuleType] = {
    "SchedulingGates": queue,
    "PrioritySort": queue,
    "DefaultPreemption": preempt,
    "DefaultBinder": binding_cycle,
}
GATE_STATES = {
    "on": "On, and its effect is there",
    "fields": "On upstream; here its fields are served and validated, and nothing acts on them",
    "absent": "On upstream; nothing of it is here",
    "inner": "On upstream, and about its inner workings: no client sees it",
    "off": "Off, as upstream",
}


def page() -> str:
    """The whole page."""
    parts = [
        "# Scope",
        "What there is of Kubernetes v1.36, and what is not there yet. This page is made from the"
        " code by `scripts/scope.py`; a test fails when the two differ.",
        *_kinds(),
        *_controllers(),
        *_admission(),
        *_scheduler(),
        *_volumes(),
        *_gates(),
        *_commands(),
    ]
    return "\n\n".join(parts) + "\n"


def resources() -> tuple[Resource, ...]:
    return Catalog.of(api).resources


def controllers_by_name() -> dict[str, list[str]]:
    """The files of each controller."""
    found: dict[str, list[str]] = {}
    for package, kind in ((controllers, Definition), (cloud, CloudDefinition)):
        for module in catalog.modules(package):
            for value in vars(module).values():
                if isinstance(value, kind):
                    file = module.__name__.removeprefix("trireme.").replace(".", "/")
                    found.setdefault(value.name, []).append(file.removeprefix("controllers/"))
    return found


def _kinds() -> Iterable[str]:
    by_version: dict[str, list[Resource]] = {}
    for resource in resources():
        by_version.setdefault(resource.api_version, []).append(resource)
    rows = [
        (version, "yes" if any(r.default_on for r in found) else "no", _kind_names(found))
        for version, found in sorted(by_version.items(), key=lambda item: ("/" in item[0], item[0]))
    ]
    missing = [
        f"{version} {kind}"
        for version, kinds in UPSTREAM["kinds"].items()
        for kind in kinds
        if kind not in {resource.kind for resource in by_version.get(version, ())}
    ]
    yield "## Kinds"
    yield (
        f"The API serves {len(resources())} kinds, each version counted: they are stored,"
        " validated, defaulted, watched and patched as upstream does. "
        + ("Not served: " + ", ".join(missing) + "." if missing else "None of v1.36 is missing.")
    )
    yield _table(("group and version", "on by default", "kinds"), rows)
    yield "### Served, and not acted on yet"
    yield "Creating one of these is answered with a warning that says the same."
    by_name = {resource.group_resource: resource.kind for resource in resources()}
    yield _table(
        ("kind", "what will not be done"),
        [
            (by_name[name] + row.of.replace("'", "s'", 1), row.missing)
            for name, rows in sorted(unimplemented.ROWS.items(), key=lambda r: by_name[r[0]])
            for row in rows
        ],
    )


def _kind_names(found: list[Resource]) -> str:
    return ", ".join(sorted(resource.kind for resource in found))


def _controllers() -> Iterable[str]:
    there = controllers_by_name()
    yield "## Controllers"
    yield _table(
        ("controller", "where"),
        [
            (name, ", ".join(f"`{file}.py`" for file in sorted(files)))
            for name, files in sorted(there.items())
        ],
    )
    yield _not_there(
        name for name, row in UPSTREAM["controllers"].items() if row["on"] and name not in there
    )
    yield _off(
        name for name, row in UPSTREAM["controllers"].items() if not row["on"] and name not in there
    )


def _admission() -> Iterable[str]:
    there = [plugin.name for plugin in order.plugins()]
    known = {*UPSTREAM["admission"]["on"], *UPSTREAM["admission"]["off"]}
    yield "## Admission plugins"
    yield "On, in this order: " + ", ".join(name for name in there if name in known) + "."
    yield (
        "Also on, as upstream has the same in the storage of the kinds: "
        + ", ".join(name for name in there if name not in known)
        + "."
    )
    yield _not_there(name for name in UPSTREAM["admission"]["on"] if name not in there)
    off = UPSTREAM["admission"]["off"]
    yield (
        "Off by default, as upstream, and there: "
        + ", ".join(name for name in order.NAMES if name in off and name not in there)
        + "."
    )
    yield _off(name for name in off if name not in order.NAMES)


def _scheduler() -> Iterable[str]:
    there = {*SCHEDULER_PARTS, *(plugin.name for plugin, _ in profile.DEFAULT.plugins)}
    # It refuses pods with claims, and allocates nothing.
    there.discard("DynamicResources")
    known = [*UPSTREAM["scheduler"]["on"], *UPSTREAM["scheduler"]["off"]]
    yield "## Scheduler plugins"
    yield "On: " + ", ".join([n for n in known if n in there] + sorted(there - {*known})) + "."
    yield _not_there(name for name in UPSTREAM["scheduler"]["on"] if name not in there)
    yield _off(name for name in UPSTREAM["scheduler"]["off"] if name not in there)


def _volumes() -> Iterable[str]:
    plugins = catalog.instances(volume_plugins, VolumePlugin)
    there = sorted(
        [*(plugin.field for plugin in plugins), *volume_manager.CLAIMS, image_volumes.FIELD]
    )
    yield "## Volumes that the kubelet mounts"
    yield ", ".join(there) + "."
    yield _not_there(name for name in UPSTREAM["volumes"]["names"] if name not in there)


def _gates() -> Iterable[str]:
    by_state: dict[str, list[str]] = {state: [] for state in GATE_STATES}
    for name, gate in gates.every().items():
        by_state[gate.state].append(f"{name} ({'switch' if gate.switch else gate.stage})")
    yield "## Feature gates"
    yield (
        "Each with its stage; `switch` instead of it where the gate can be set here"
        " (`feature_gates` of the API server's configuration)."
    )
    for state, text in GATE_STATES.items():
        yield f"**{text}** ({len(by_state[state])}): " + ", ".join(by_state[state]) + "."


def _commands() -> Iterable[str]:
    yield "## Commands"
    yield _table(("command", "what it does"), _described(command_line.cli, "trireme"))


def _described(group: click.Group, prefix: str) -> list[tuple[str, str]]:
    context = click.Context(group)
    found: list[tuple[str, str]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += _described(command, f"{prefix} {name}")
        else:
            found.append((f"`{prefix} {name}`", command.get_short_help_str(200)))
    return found


def _not_there(names: Iterable[str]) -> str:
    found = list(names)
    return f"**Not there yet** ({len(found)}): {', '.join(found)}." if found else "None is missing."


def _off(names: Iterable[str]) -> str:
    found = ", ".join(names)
    return f"Off by default upstream, and not there: {found or 'none'}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="write docs/scope.md")
    if options.parse_args().write:
        PAGE.write_text(page())
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
