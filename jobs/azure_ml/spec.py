"""A specification on disk, as the SDK wants it: its YAML, and beside it the files that it names.

Reads: the parameters `spec`, `set` and `files`, and the input `code`. Writes: a folder of its own, gone afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml
from marshmallow.exceptions import ValidationError

from jobs.azure_ml.documents import overridden, parsed
from jobs.azure_ml.faults import text
from tidegate.step import BadInput, StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobs.azure_ml.step import Settings
    from tidegate.step import Store

FILE = "spec.yml"
ABOUT = ("description", "display_name", "name", "properties", "tags")
"""What Azure lets change of a job that is there: it does not make another definition."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A specification, and the folder that it lies in."""

    path: Path
    document: Mapping[str, Any]

    def load(self, loader: Callable[..., Any], **changes: Any) -> Any:  # noqa: ANN401 - an entity of the SDK
        """What the SDK's loader makes of it.

        Raises:
            BadInput: It refuses it, with what it says.
        """
        try:
            return loader(source=str(self.path), **changes)
        except StepError:
            raise
        except ValidationError as error:
            raise BadInput(f"$TIDEGATE_PARAMS.spec: {error.messages}") from error
        except Exception as error:  # the SDK raises whatever a bad document leads to
            raise BadInput(f"$TIDEGATE_PARAMS.spec: {text(error)}") from error

    def digest(self) -> str:
        """16 hex that change with the definition, and with any file beside it."""
        what = {name: value for name, value in self.document.items() if name not in ABOUT}
        files = {str(path.relative_to(self.path.parent)): _sha256(path) for path in _files(self.path.parent)}
        files.pop(FILE, None)
        return hashlib.sha256(json.dumps([what, files], sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def laid_out(settings: Settings, store: Store) -> Iterator[Spec]:
    """The specification with its files, in a folder that is gone afterwards.

    Raises:
        BadInput: The YAML, an override, a file's name or the archive cannot be used.
    """
    document = overridden(parsed(settings.spec), settings.set)
    with tempfile.TemporaryDirectory(prefix="azure-ml-") as name:
        folder = Path(name)
        if settings.code:
            fetch(settings.code, folder, store)
        for path, content in settings.files.items():
            _write(folder, path, content)
        body = yaml.safe_dump(document, sort_keys=False) if settings.set else settings.spec
        (folder / FILE).write_text(body, encoding="utf-8")
        yield Spec(path=folder / FILE, document=document)


def fetch(url: str, folder: Path, store: Store) -> None:
    """Bring a folder, whose URL ends in `/`, or one archive, into `folder`; streamed."""
    if not url.endswith("/"):
        _unpack(url, folder, store)
        return
    found = False
    for entry in store.list(url):
        found = True
        if entry.url.removeprefix(url) == FILE:
            continue  # the specification itself, where it lies in its own folder
        place = _place(folder, entry.url.removeprefix(url))
        with store.open(entry.url) as body, place.open("wb") as file:
            shutil.copyfileobj(body, file)
    if not found:
        raise BadInput("there is nothing below it; want a folder's URL that ends in / or an archive's", url=url)


def _unpack(url: str, folder: Path, store: Store) -> None:
    with tempfile.TemporaryFile() as file:
        with store.open(url) as body:
            shutil.copyfileobj(body, file)
        file.seek(0)
        try:
            if url.endswith(".zip"):
                zipfile.ZipFile(file).extractall(folder)  # noqa: S202 - it keeps inside the folder by itself
            elif url.endswith((".tar.gz", ".tgz", ".tar")):
                with tarfile.open(fileobj=file) as archive:
                    archive.extractall(folder, filter="data")
            else:
                raise BadInput("it is no archive; want .zip, .tar.gz, or a folder's URL that ends in /", url=url)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise BadInput(f"the archive cannot be unpacked: {error}", url=url) from None


def _write(folder: Path, path: str, content: object) -> None:
    encoded = content.get("base64") if isinstance(content, dict) else None
    try:
        body = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else None
    except ValueError:
        raise BadInput(f"$TIDEGATE_PARAMS.files[{path!r}].base64 is no base64") from None
    if isinstance(content, str):
        body = content.encode()
    if body is None:
        raise BadInput(f'$TIDEGATE_PARAMS.files[{path!r}]: want text, or {{"base64": text}}')
    _place(folder, path).write_bytes(body)


def _place(folder: Path, path: str) -> Path:
    """Where a file goes; never outside the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or path == FILE:
        raise BadInput(f"{path!r} is no path of a file; want one below the specification, such as src/main.py")
    place = folder.joinpath(*parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _files(folder: Path) -> list[Path]:
    return sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
