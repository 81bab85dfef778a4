"""Checks that an image has all that its containers need to start.  Pure.

In: an image's files and configuration.  Out: the names of what is missing.  Called by `trireme
image build`, so that the build reports what would otherwise be a crashing pod.
"""

from collections.abc import Iterable, Iterator

from trireme.cluster.images import elf
from trireme.cluster.images.build import Config, File

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LINKS = 40
_SCRIPTS = 4  # one interpreted by the next, as the kernel allows


def missing(files: Iterable[File], config: Config) -> list[str]:
    """What is missing for the configured entry point; empty when nothing is."""
    tree = _Tree(files)
    found = list(_user(tree, config.user))
    words = (*config.entrypoint, *config.cmd)
    if words:
        found += _program(tree, words[0], config)
    return list(dict.fromkeys(found))


class _Tree:
    """An image's files, links followed within it."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files = {file.path.strip("/"): file for file in files}
        self.names = {path.rpartition("/")[2] for path in self._files}

    def find(self, path: str) -> File | None:
        done: list[str] = []
        left = path.split("/")[::-1]
        links = 0
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                done[-1:] = []
                continue
            file = self._files.get("/".join([*done, name]))
            if file is not None and file.kind == "link":
                links += 1
                if links > _LINKS:
                    return None
                if file.target.startswith("/"):
                    done = []
                left += file.target.split("/")[::-1]
                continue
            done.append(name)
        return self._files.get("/".join(done))

    def library(self, name: str) -> File | None:
        return next(
            (
                self.find(path)
                for path in self._files
                if path.rpartition("/")[2] == name and self.find(path) is not None
            ),
            None,
        )


def _program(tree: _Tree, word: str, config: Config, depth: int = 0) -> Iterator[str]:
    path = word if word.startswith("/") else f"{config.workdir or '/'}/{word}"
    if "/" in word:
        file = tree.find(path)
    else:
        places = dict(line.split("=", 1) for line in config.env if "=" in line).get("PATH", _PATH)
        found = (tree.find(f"{place}/{word}") for place in places.split(":"))
        file = next((one for one in found if one is not None and one.kind == "file"), None)
    if file is None or file.kind != "file":
        yield f"the program {word}"
        return
    if not file.mode & 0o111:
        yield f"the right to execute {word}"
    if not file.content.startswith(b"#!"):
        yield from _loaded(tree, word, file)
    elif depth == _SCRIPTS:
        yield f"an interpreter for {word} that is no script itself"
    else:
        line = file.content[2:].split(b"\n", 1)[0].decode("utf-8", "replace").split()
        yield from _program(tree, line[0] if line else "", config, depth + 1)
        if len(line) > 1 and line[0].endswith("/env") and not line[1].startswith("-"):
            yield from _program(tree, line[1], config, depth + 1)


def _loaded(tree: _Tree, word: str, file: File) -> Iterator[str]:
    loader = elf.loader(file.content)
    if not loader:
        return
    if tree.find(loader) is None:
        yield f"{loader}, the loader of {word}"
    needed, known = [(word, name) for name in elf.libraries(file.content)], set()
    for of, name in needed:
        if name in known:
            continue
        known.add(name)
        library = tree.library(name) if name in tree.names else None
        if library is None:
            yield f"{name}, a library of {of}"
        else:
            needed += [(name, other) for other in elf.libraries(library.content)]


def _user(tree: _Tree, user: str) -> Iterator[str]:
    for name, path in zip(user.split(":"), ("/etc/passwd", "/etc/group"), strict=False):
        if not name or name.isdigit():
            continue
        file = tree.find(path)
        lines = file.content.decode("utf-8", "replace").splitlines() if file is not None else []
        if name not in {line.split(":")[0] for line in lines}:
            yield f"{name} in {path}"
