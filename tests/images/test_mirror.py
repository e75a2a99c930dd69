"""`tidegate images mirror` and `build --registry` against a real registry: what arrives there, and what is told if not.

Both are called as people do; only which images an install needs is answered here: the smallest one of ours.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.images.registry import registry, sign_in
from tests.ports import free_port
from tidegate.cli import app, needed_images
from tidegate.cli.fault import Fault
from tidegate.cluster import commands, engine, images, mirror
from tidegate.cluster.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tests.images.registry import Registry

IMAGE = "base"
REFUSED_WITHIN = 300
"""The engine tries a refused account for most of a minute."""


@dataclass(frozen=True)
class Servers:
    """Registries: one for everybody, and three that want an account; what the engine's accounts are there."""

    everybody: Registry
    signed_in: Registry
    nobody: Registry
    wrong_password: Registry
    refused: Future[list[mirror.Copied]]
    """Two images on their way to `wrong_password`."""


@pytest.fixture(scope="module")
def servers(refs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    account = f"tests:{secrets.token_urlsafe(16)}"
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        names = ("everybody", "signed_in", "nobody", "wrong_password")
        folders = [tmp_path_factory.mktemp(name) for name in names]
        made = [stack.enter_context(registry(folder, account=account)) for folder in folders[1:]]
        made.insert(0, stack.enter_context(registry(folders[0])))
        accounts = {made[1].address: account, made[3].address: "tests:wrong"}
        patch.setenv("DOCKER_CONFIG", str(sign_in(tmp_path_factory.mktemp("docker"), accounts)))
        beside = stack.enter_context(ThreadPoolExecutor(1))
        wrong = beside.submit(mirror.mirror, [refs[IMAGE], refs["hello"]], made[3].address)
        yield Servers(*made, refused=wrong)


@pytest.fixture
def ref(refs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The one image that an install needs, and that is built."""
    only = [image for image in images.listed() if image.name == IMAGE]
    monkeypatch.setattr(images, "listed", lambda *_: only)
    wanted = needed_images.Needed(name=IMAGE, ref=refs[IMAGE], comes_from=needed_images.BUILT)
    monkeypatch.setattr(needed_images, "needed", lambda **_: [wanted])
    return wanted.ref


def call(*words: str) -> str:
    done = CliRunner().invoke(app, ["images", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def not_copied(registry: str) -> str:
    """What is printed about a registry that takes nothing."""
    done = CliRunner().invoke(app, ["images", "mirror", registry])
    assert isinstance(done.exception, Fault), done.output
    assert "1 of 1 could not be copied" in str(done.exception)
    return done.stdout


def in_engine(ref: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(commands.output([engine.docker(), "image", "inspect", ref]))[0]
    return found


def assert_whole(server: Registry, repository: str, tag: str, known: dict[str, Any]) -> None:
    """Every part that the manifest names is there, and they are those of the engine's image."""
    _, manifest = server.manifest(repository, tag)
    config = server.get(repository, f"blobs/{manifest['config']['digest']}").json()
    assert manifest["config"]["digest"] == known["Id"]
    assert config["rootfs"]["diff_ids"] == known["RootFS"]["Layers"]
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"])
    for layer in manifest["layers"]:
        body = server.get(repository, f"blobs/{layer['digest']}").content
        assert (len(body), f"sha256:{hashlib.sha256(body).hexdigest()}") == (layer["size"], layer["digest"])


def test_a_mirrored_image_is_there_whole_and_again_nothing_is_sent(servers: Servers, ref: str) -> None:
    server, (name, tag) = servers.everybody, ref.split(":")
    said = call("mirror", f"{server.address}/mirror/")
    assert said.splitlines()[0].split() == [f"{server.address}/mirror/{ref}", "copied"]
    assert f"global.imageRegistry: {server.address}/mirror`" in said
    assert_whole(server, f"mirror/{name}", tag, in_engine(ref))
    digest, sent = server.manifest(f"mirror/{name}", tag)[0], server.uploads()
    assert sent > 0
    assert call("mirror", f"{server.address}/mirror") == said
    assert server.uploads() == sent
    assert server.tags(f"mirror/{name}") == [tag]
    assert server.manifest(f"mirror/{name}", tag)[0] == digest


def test_what_is_built_for_a_registry_is_there_under_the_name_that_is_printed(servers: Servers, ref: str) -> None:
    at = f"{servers.everybody.address}/ours"
    assert call("build", "--registry", at).split() == [f"{at}/{ref}"]
    name, tag = ref.split(":")
    pushed = servers.everybody.manifest(f"ours/{name}", tag)[1]["config"]["digest"]
    assert pushed == in_engine(f"{at}/{ref}")["Id"] == in_engine(ref)["Id"]


def test_a_registry_that_is_away_is_named(servers: Servers, ref: str) -> None:
    at = f"127.0.0.1:{free_port()}"
    try:
        assert f"no registry answers at {at}" in not_copied(at)
    finally:
        commands.output([engine.docker(), "image", "rm", "--no-prune", f"{at}/{ref}"])


def test_who_is_not_signed_in_is_told_how_to(servers: Servers, ref: str) -> None:
    at = servers.nobody.address
    assert f"docker login {at}" in not_copied(at)
    with pytest.raises(Refused, match=f"docker login {at}"):
        call("build", "--registry", at)
    assert servers.nobody.uploads() == 0


def test_an_account_that_is_let_in_pushes(servers: Servers, ref: str) -> None:
    at = servers.signed_in.address
    assert f"{at}/{ref}" in call("mirror", at)
    assert servers.signed_in.manifest(*ref.split(":"))[1]["config"]["digest"] == in_engine(ref)["Id"]


def test_a_wrong_password_is_told_so_and_tried_with_one_image_only(servers: Servers) -> None:
    first, second = servers.refused.result(REFUSED_WITHIN)
    assert f"docker login {servers.wrong_password.address}" in first.fault
    assert second.fault == mirror.NOT_TRIED
    assert servers.wrong_password.uploads() == 0
