"""A Debian system with packages installed, as the files of an image.

In: names of packages. Out: files of a root in which they, all that they depend on and Debian's
essential packages are installed: by apt and dpkg, their scripts run, so that users, folders and
configuration are there as on a machine. Called by `trireme image build --package`. Needs root and a
Debian host, whose sources and keys apt uses.

The scripts run in a folder of their own, in namespaces without a network, and whatever they start
ends with them. Manuals and translations are left out. https://www.debian.org/doc/debian-policy/
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from trireme.cluster.images import build, services
from trireme.cluster.images.build import BuildFailed, File

# Since Debian 12 these are links, and no package makes them.
_MERGED = ("bin", "sbin", "lib", "lib64")
_ESSENTIAL = "?essential"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# What only says when and how it was installed, and what each container has of its own.
_DROPPED = ("dev", "proc", "var/cache/apt", "var/lib/apt", "var/log/apt", "usr/sbin/policy-rc.d")
_INSTALL = """
set -e
mount -t proc proc "$ROOT/proc"
mknod -m 666 "$ROOT/dev/null" c 1 3
mknod -m 666 "$ROOT/dev/urandom" c 1 9
chroot "$ROOT" dpkg --force-depends --force-unsafe-io --install {essential}
exec apt-get {options} -o DPkg::Chroot-Directory="$ROOT" install {names}
"""


def install(names: Iterable[str]) -> list[File]:
    """The files of a system with these packages. Blocks: half a minute.

    Raises BuildFailed with what apt or dpkg said.
    """
    if os.geteuid() != 0:
        raise BuildFailed("only root can install packages: their scripts make users and folders")
    with tempfile.TemporaryDirectory(prefix="trireme-system-") as folder:
        root = Path(folder, "root")
        _prepare(root)
        options = _options(root)
        _run(["apt-get", *options, "--download-only", "install", _ESSENTIAL])
        archives = root / "var/cache/apt/archives"
        essential = sorted(archives.glob("*.deb"))
        _run(["apt-get", *options, "--download-only", "install", *names])
        for package in essential:
            _unpack(package, root)
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")  # start no service
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        script = _INSTALL.format(
            essential=shlex.join(f"/var/cache/apt/archives/{one.name}" for one in essential),
            options=shlex.join(options),
            names=shlex.join(names),
        )
        isolated = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--ipc",
            "--uts",
            "--net",
        ]
        _run([*isolated, "sh", "-c", script], ROOT=str(root))
        logs = [path for path in (root / "var/log").iterdir() if path.is_file()]
        for left in (*(root / name for name in _DROPPED), *logs):
            _drop(left)
        files = {file.path: file for file in build.folder(root, owners=True)}
        files.update((name, File(name, kind="dir")) for name in ("dev", "proc", "sys"))
        return [*files.values(), *services.directories(files)]


def _prepare(root: Path) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in (
        "dev",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/apt",
        "var/cache/apt/archives/partial",
        "etc/dpkg/dpkg.cfg.d",
    ):
        (root / name).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    left_out = "".join(f"path-exclude {pattern}\n" for pattern in _LEFT_OUT)
    (root / "etc/dpkg/dpkg.cfg.d/trireme").write_text(f"{left_out}force-unsafe-io\n")
    root.chmod(0o755)


def _options(root: Path) -> list[str]:
    """apt as on this host, but with the packages and archives of ``root``."""
    settings = {
        "Dir::State::status": f"{root}/var/lib/dpkg/status",
        "Dir::State::extended_states": f"{root}/var/lib/apt/extended_states",
        "Dir::Cache::archives": f"{root}/var/cache/apt/archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        # It could not write into the folder otherwise.
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
        "Dpkg::Use-Pty": "false",
    }
    words = ["--yes", "--quiet"]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    return words


def _unpack(package: Path, root: Path) -> None:
    left_out = [f"--exclude=.{pattern}" for pattern in _LEFT_OUT]
    into = ["tar", "-C", str(root), "-x", "--keep-directory-symlink", *left_out]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as reading:
        _run(into, stdin=reading.stdout)


def _run(
    argv: list[str], stdin: int | IO[bytes] | None = subprocess.DEVNULL, **environment: str
) -> None:
    own = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
    }
    try:
        done = subprocess.run(
            argv,
            env={**own, **environment},
            stdin=stdin,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise BuildFailed(f"{argv[0]} is not installed: packages need a Debian system") from None
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if line.startswith(("E:", "dpkg: error"))]
        raise BuildFailed(f"{argv[0]}: " + "\n".join(errors or said[-10:]))


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
