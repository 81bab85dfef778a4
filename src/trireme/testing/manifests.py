"""Objects as tests write them: dicts, structs, YAML text, paths of files and folders.

In: one of these. Out: plain dicts, in their order. Text is what has a line break or a colon
followed by a space; everything else that is a ``str`` is a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from trireme.machinery.codec import json, yaml

Manifest: TypeAlias = "Mapping[str, Any] | msgspec.Struct | str | Path"
_SUFFIXES = (".yaml", ".yml", ".json")


def load(manifest: Manifest, folders: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """All objects of ``manifest``, those of Lists one by one. A path is looked up in ``folders``,
    then in the current one. ValueError, DecodeError; FileNotFoundError names where it looked."""
    return [item for document in _documents(manifest, folders) for item in _items(document)]


def _documents(manifest: Manifest, folders: Sequence[Path]) -> Iterable[Any]:
    if isinstance(manifest, msgspec.Struct | Mapping):
        return [json.to_plain(manifest)]
    if isinstance(manifest, str) and ("\n" in manifest or ": " in manifest):
        return _parse(manifest)
    return [
        document
        for file in _files(Path(manifest), folders)
        for document in _parse(file.read_text(encoding="utf-8"))
    ]


def _parse(text: str) -> list[Any]:
    return [loaded.value for loaded in yaml.load_all(text) if loaded.value is not None]


def _files(path: Path, folders: Sequence[Path]) -> list[Path]:
    places = [folder / path for folder in folders] + [path]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = ", ".join(str(place.absolute()) for place in dict.fromkeys(places))
        raise FileNotFoundError(f"no manifest {path}: looked for {looked}")
    if found.is_dir():
        return sorted(item for item in found.iterdir() if item.suffix in _SUFFIXES)
    return [found]


def _items(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        raise ValueError(f"not an object: {document!r:.200}")
    if document.get("kind") == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _items(item)
    else:
        yield document
