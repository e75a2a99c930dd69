"""Build the images that `skaffold.yaml` lists, and bring them to a cluster.

Reads: `skaffold.yaml`, the Dockerfiles and the files that their COPY lines name. Writes: images named
`[<registry>/]tidegate/<image>:<12 hex>` in the engine. The tag is a digest of everything that goes in (the Dockerfile,
the copied files, the tags of the images it stands on).
Again: an image whose tag the engine has is not built, one that a node has is not loaded; of one that it lacks only the
layers that it lacks are brought.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tidegate.cluster import cache, commands, engine, layers, nodes, registries
from tidegate.cluster.errors import ClusterError, CommandFailed
from tidegate.cluster.project import ROOT
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

LEFTOVERS = ("__pycache__",)
"""Folders that `.dockerignore` keeps out of the images, and so out of the tags."""


class ImageError(ClusterError):
    """`skaffold.yaml` or a Dockerfile does not fit the checkout; the text says what to change."""


@dataclass(frozen=True)
class Image:
    """One line of `skaffold.yaml`."""

    name: str
    """Last part of the repository, such as `train_model`."""
    repository: str
    """Such as `tidegate/train_model`; a registry's name is put before it."""
    dockerfile: Path
    """Relative to the checkout."""
    bases: Mapping[str, str] = field(default_factory=dict)
    """Build argument -> name of the image in this list that it is set to, such as `BASE: base`."""


def listed(root: Path = ROOT) -> list[Image]:
    """All images of `skaffold.yaml`, each after the images it stands on.

    Raises:
        ImageError: An image requires one that is not listed before it.
    """
    document = yaml.safe_load((root / "skaffold.yaml").read_text(encoding="utf-8"))
    images = [_image(artifact) for artifact in document["build"]["artifacts"]]
    seen: set[str] = set()
    for image in images:
        if missing := set(image.bases.values()) - seen:
            raise ImageError(f"skaffold.yaml: put {', '.join(sorted(missing))} before {image.name}, which stands on it")
        seen.add(image.name)
    return images


def _image(artifact: Mapping[str, Any]) -> Image:
    bases = {need["alias"]: _name(need["image"]) for need in artifact.get("requires", [])}
    dockerfile = Path(artifact["custom"]["dependencies"]["dockerfile"]["path"])
    return Image(_name(artifact["image"]), artifact["image"], dockerfile, bases)


def _name(repository: str) -> str:
    return repository.rsplit("/", 1)[-1]


def references(*, registry: str | None = None, root: Path = ROOT) -> dict[str, str]:
    """Image name -> full reference that the present state of the checkout gives, built or not."""
    tags: dict[str, str] = {}
    refs: dict[str, str] = {}
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    for image in listed(root):
        tags[image.name] = _digest(image, [tags[base] for base in image.bases.values()], root)
        refs[image.name] = f"{prefix}{image.repository}:{tags[image.name]}"
    return refs


def _digest(image: Image, base_tags: list[str], root: Path) -> str:
    """12 hex digits over the Dockerfile, the files it copies (path, mode, content) and the bases' tags."""
    digest = hashlib.sha256("\n".join(base_tags).encode())
    for path in [*copied(image, root), root / image.dockerfile]:
        runnable = bool(path.stat().st_mode & 0o100)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)}\0{runnable}\0{content}\n".encode())
    return digest.hexdigest()[:12]


def copied(image: Image, root: Path = ROOT) -> list[Path]:
    """The files that the image's COPY lines take from the checkout, sorted.

    Raises:
        ImageError: The Dockerfile, or something that a COPY line names, is not there.
    """
    files: set[Path] = set()
    if not (root / image.dockerfile).is_file():
        raise ImageError(f"skaffold.yaml lists {image.repository}, but there is no {image.dockerfile}")
    for source in _sources((root / image.dockerfile).read_text(encoding="utf-8")):
        found = {file for path in root.glob(source.rstrip("/")) for file in _files(path)}
        if not found:
            raise ImageError(f"{image.dockerfile}: COPY {source}: there is no such file in {root}")
        files |= found
    return sorted(files)


def _sources(dockerfile: str) -> Iterator[str]:
    """First arguments of every COPY that takes from the context; build stages (`--from=`) are no files of ours."""
    for line in dockerfile.replace("\\\n", " ").splitlines():
        instruction, *words = line.split() or [""]
        if instruction.upper() != "COPY" or any(word.startswith("--from=") for word in words):
            continue
        yield from [word for word in words if not word.startswith("--")][:-1]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and not set(LEFTOVERS) & set(file.parts)]


def build(*, registry: str | None = None, only: Collection[str] | None = None) -> dict[str, str]:
    """Build what the engine lacks; returns image name -> full reference, for every image of the list.

    One that it has under its plain name is only named anew for the registry.

    Args:
        registry: Begins the references.
        only: Names of images; these and what they stand on are built. Default: all.

    Raises:
        CommandFailed: A build failed; the error carries the last lines it printed.
    """
    plain = references()
    refs = references(registry=registry) if registry else plain
    with cache.lock("build"):
        present = _in_engine()
        for image in _with_bases(only):
            if refs[image.name] in present:
                continue
            if plain[image.name] in present:
                commands.output([engine.docker(), "tag", plain[image.name], refs[image.name]])
                continue
            with progress.phase(f"Build image {image.name}"):
                _build(image, refs)
    return refs


def _with_bases(names: Collection[str] | None) -> list[Image]:
    images = listed()
    wanted = {image.name for image in images} if names is None else set(names)
    for image in reversed(images):
        wanted |= set(image.bases.values()) if image.name in wanted else set()
    return [image for image in images if image.name in wanted]


def _build(image: Image, refs: Mapping[str, str]) -> None:
    arguments = [part for alias, base in image.bases.items() for part in ("--build-arg", f"{alias}={refs[base]}")]
    command = [engine.docker(), "build", "--progress=plain", "--network=host", f"--file={image.dockerfile}", *arguments]
    command += [f"--tag={refs[image.name]}", "."]
    commands.run(command, log=f"build-{image.name}", env={"DOCKER_BUILDKIT": "1"}, cwd=ROOT)


def _in_engine() -> set[str]:
    return set(commands.output([engine.docker(), "image", "ls", "--format={{.Repository}}:{{.Tag}}"]).split())


def load(refs: Iterable[str], *, cluster: str) -> list[str]:
    """Bring into the nodes of a kind cluster what any of them lacks, layer by layer; returns what was loaded.

    Args:
        refs: Images that the engine has.
        cluster: Name of the kind cluster.
    """
    with cache.lock("load"), cache.scratch("load") as at:
        held = {node: nodes.held(node) for node in nodes.of(cluster)}
        names = {ref: layers.containerd_name(ref) for ref in refs}
        lacking = [ref for ref in names if any(names[ref] not in node.images for node in held.values())]
        if lacking:
            with progress.phase(f"Load {len(lacking)} image(s) into {cluster}"):
                _bring(lacking, held, at / "images.tar")
    return lacking


def _bring(lacking: list[str], held: Mapping[str, nodes.Held], archive: Path) -> None:
    try:
        found = layers.stored(lacking)
    except layers.Unreadable:
        found = layers.saved(lacking, archive)
    for node, has in held.items():
        if wanted := [image for image in found if image.name not in has.images]:
            try:
                nodes.bring(node, wanted, without=has.blobs)
            except (CommandFailed, OSError):
                # a layer went from the node or from the engine's folder meanwhile: everything, as the engine tells it
                archive.unlink(missing_ok=True)
                nodes.bring(node, layers.saved(lacking, archive), without=())


def push(refs: Iterable[str]) -> None:
    """Push each reference to the registry that its name begins with.

    Raises:
        Refused: The registry did not take it; the text says what to do.
    """
    for ref in refs:
        with progress.phase(f"Push {ref}"):
            registries.push(ref, log="push-image")
