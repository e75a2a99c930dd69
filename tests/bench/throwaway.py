"""A throwaway copy of the checkout, where a line can be edited and images built, and nothing of ours is touched.

Reads: the files that git does not ignore, as they stand. Writes: a folder for temporary files outside of the checkout;
images of edits in the engine, which are removed at the end (Docker's build cache forgets their layers by itself, the
oldest first). Again: each edit is one that never was before, so that no cache knows what comes of it.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import TYPE_CHECKING

import yaml

from tidegate.cluster import commands, engine, images, standins
from tidegate.cluster.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BASE = "base"
DOCKERFILE = f"images/{BASE}/Dockerfile"
DOCSTRING = re.compile(r'"""(\(edit \w+\) )?')
"""How a module begins, with what an edit has put there."""
ROOT_OF_ALL = re.compile(r"^(FROM .*\n)(RUN echo \w+ > /etc/edit\n)?", re.MULTILINE)
"""How the Dockerfile of `BASE` begins, with what an edit has put there."""
UNIGNORED = ("--cached", "--others", "--exclude-standard")
START_SECONDS = 300.0
"""For a program to say that it is ready."""


@dataclass
class Copy:
    """One copy; commands that are run in it take it for the checkout."""

    root: Path
    state: str = "0"
    """Another after each change."""
    made: set[str] = field(default_factory=set)
    """Images to be removed at the end."""

    def edit(self, file: str) -> str:
        """Change the first line of a module's docstring, which `--help` prints; returns what stands in it now."""
        mark = f"(edit {self._changed()})"
        self._replace(file, DOCSTRING, f'"""{mark} ')
        return mark

    def edit_base(self) -> None:
        """Give the root of all images a layer that no cache knows: nothing that stands on it is known either."""
        self._replace(DOCKERFILE, ROOT_OF_ALL, rf"\1RUN echo {self._changed()} > /etc/edit\n")

    def restore(self, file: str) -> None:
        """Take a file from the checkout again."""
        self._changed()
        shutil.copy2(ROOT / file, self.root / file)

    def _changed(self) -> str:
        self.state = secrets.token_hex(4)
        return self.state

    def _replace(self, file: str, pattern: re.Pattern[str], text: str) -> None:
        path = self.root / file
        changed, count = pattern.subn(text, path.read_text(encoding="utf-8"), count=1)
        if not count:
            raise AssertionError(f"{file}: no place for an edit; want {pattern.pattern}")
        path.write_text(changed, encoding="utf-8")

    def only(self, names: Sequence[str]) -> None:
        """Shorten the list of images to these, with what they stand on."""
        document = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
        artifacts = document["build"]["artifacts"]
        document["build"]["artifacts"] = [one for one in artifacts if one["image"].rsplit("/", 1)[-1] in names]
        (self.root / "skaffold.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def references(self) -> dict[str, str]:
        """Image name -> reference of what stands here now."""
        return images.references(root=self.root)

    def note(self) -> None:
        """Have the images that stand here now removed at the end, but for those that the engine has already."""
        self.made |= {ref for ref in self.references().values() if not standins.exists(ref)}

    def tidegate(self, *words: str) -> None:
        """Run this copy's own program."""
        commands.run([sys.executable, "-m", "tidegate", *words], log="bench-tidegate", cwd=self.root)

    @contextmanager
    def running(self, *words: str, until: str) -> Iterator[None]:
        """The copy's own program, from the moment that it prints a line that begins with `until`."""
        command = [sys.executable, "-m", "tidegate", *words]
        with subprocess.Popen(command, cwd=self.root, stdout=PIPE, stderr=STDOUT, text=True) as process:
            try:
                _read(process, until)
                yield
            finally:
                process.terminate()
                process.communicate()

    def docker_build(self, image: images.Image, *, base: str | None = None) -> str:
        """What a person types to build one image; returns its reference."""
        ref = f"{image.repository}:bench-{self.state}"
        on = [f"--build-arg={alias}={base}" for alias in image.bases]
        command = [engine.docker(), "build", "--network=host", f"--file={image.dockerfile}", *on, f"--tag={ref}", "."]
        self.made.add(ref)
        commands.run(command, log="bench-docker", env={"DOCKER_BUILDKIT": "1"}, cwd=self.root)
        return ref


def _read(process: subprocess.Popen[str], until: str) -> None:
    late, said = threading.Timer(START_SECONDS, process.kill), []
    late.start()
    try:
        for line in process.stdout or ():
            said.append(line)
            if line.startswith(until):
                return
    finally:
        late.cancel()
    raise AssertionError(f"no line began with {until!r}, in {START_SECONDS:.0f} s or until it ended:\n{''.join(said)}")


@contextmanager
def copy() -> Iterator[Copy]:
    """A copy for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        for name in commands.output(["git", "-C", str(ROOT), "ls-files", "-z", *UNIGNORED]).rstrip("\0").split("\0"):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        made = Copy(Path(folder))
        try:
            yield made
        finally:
            _remove(made.made)


def _remove(refs: set[str]) -> None:
    """Take away these names; an image goes with its last one."""
    for ref in sorted(refs):
        commands.succeeds([engine.docker(), "image", "rm", ref])
