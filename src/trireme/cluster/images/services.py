"""The directories that a system makes for its services when it starts.  Pure.

In: the files of an image. Out: those directories that its tmpfiles.d and its systemd units ask for:
in a container nobody else would make them.  Called by `debian`.  tmpfiles.d(5), systemd.exec(5).
"""

from collections.abc import Iterable, Iterator, Mapping

from trireme.cluster.images.build import File

_TMPFILES = ("usr/lib/tmpfiles.d/", "etc/tmpfiles.d/", "lib/tmpfiles.d/")
_UNITS = ("usr/lib/systemd/system/", "lib/systemd/system/", "etc/systemd/system/")
_BASES = {
    "RuntimeDirectory": "run",
    "StateDirectory": "var/lib",
    "CacheDirectory": "var/cache",
    "LogsDirectory": "var/log",
}


def directories(files: Mapping[str, File]) -> list[File]:
    """Those that are not there yet."""
    found: dict[str, File] = {}
    users, groups = _numbers(files, "etc/passwd"), _numbers(files, "etc/group")
    for path, mode, user, group in (*_of_tmpfiles(files), *_of_units(files)):
        uid = users.get(user, 0)
        gid = groups.get(group or user, 0)
        place = path.removeprefix("var/") if path.startswith("var/run/") else path
        found.setdefault(place, File(place, kind="dir", mode=mode, uid=uid, gid=gid))
    return [file for path, file in sorted(found.items()) if path not in files]


def _of_tmpfiles(files: Mapping[str, File]) -> Iterator[tuple[str, int, str, str]]:
    for text in _texts(files, _TMPFILES, ".conf"):
        for line in text.splitlines():
            words = line.split()
            if len(words) < 2 or words[0].rstrip("!-=~^") not in ("d", "D") or "%" in words[1]:
                continue
            mode, user, group = (*words[2:5], "-", "-", "-")[:3]
            number = 0o755 if mode == "-" else int(mode.lstrip("~:"), 8)
            yield words[1].strip("/"), number, user, "" if group == "-" else group


def _of_units(files: Mapping[str, File]) -> Iterator[tuple[str, int, str, str]]:
    for text in _texts(files, _UNITS, ".service"):
        unit = dict(
            (name.strip(), value.strip())
            for name, equals, value in (line.partition("=") for line in text.splitlines())
            if equals
        )
        for name, base in _BASES.items():
            mode = int(unit.get(f"{name}Mode", "0755"), 8)
            for directory in unit.get(name, "").split():
                if "%" not in directory:
                    place = f"{base}/{directory.partition(':')[0]}"
                    yield place, mode, unit.get("User", ""), unit.get("Group", "")


def _texts(files: Mapping[str, File], folders: Iterable[str], ending: str) -> Iterator[str]:
    for path, file in files.items():
        if file.kind == "file" and path.endswith(ending) and path.startswith(tuple(folders)):
            yield file.content.decode("utf-8", "replace")


def _numbers(files: Mapping[str, File], path: str) -> dict[str, int]:
    lines = files[path].content.decode().splitlines() if path in files else []
    return {line.split(":")[0]: int(line.split(":")[2]) for line in lines if line.count(":") > 2}
