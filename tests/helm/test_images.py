"""Which images a render names: all of one registry where it is told so, and each by its content."""

from __future__ import annotations

import json
import re
from functools import reduce

import pytest

from tests.helm.renders import (
    ALL_OF_THEIRS,
    CELERY,
    MIRROR,
    MIRRORED,
    REFS,
    Documents,
    documents,
    find,
    render,
    staged,
    template,
)
from tests.helm.restricted import containers, pods
from tidegate.cluster.chart import merged
from tidegate.ledger.errors import MutableImage
from tidegate.ledger.identity import image_identity

BOTH = {"airflow": {"executor": "CeleryExecutor,KubernetesExecutor", **ALL_OF_THEIRS}}
HOSTS = re.compile(r"(?:docker\.io|ghcr\.io|quay\.io|gcr\.io|mcr\.microsoft\.com|registry\.k8s\.io|registry-1)[/:]")
"""Registries that people publish to."""
DIGEST = f"sha256:{'ab' * 32}"


def named(rendered: Documents) -> list[str]:
    """Every image that a render names, those that Airflow is told among them."""
    found = [c["image"] for d in rendered for _, pod in pods(d) for c in containers(pod)]
    settings = find(rendered, "ConfigMap", "tidegate-steps")["data"]
    return found + [json.loads(value)["image"] for key, value in settings.items() if not key.startswith("_")]


def test_one_value_brings_every_image_of_both_charts_from_one_registry() -> None:
    """With all that the official chart has an image for, and the pods that its executors make."""
    done = template(staged("official"), reduce(merged, [CELERY, BOTH, MIRRORED]))
    assert done.returncode == 0, done.stderr
    images = set(named(documents(done.stdout)))
    assert [image for image in images if not image.startswith(f"{MIRROR}/")] == []
    names = {image.removeprefix(f"{MIRROR}/").partition(":")[0] for image in images}
    theirs = {"apache/airflow", "git-sync/git-sync", "otel/opentelemetry-collector-contrib", "redis"}
    assert names >= {*theirs, "prometheus/statsd-exporter", "postgres", "versity/versitygw", "tidegate/airflow"}
    assert HOSTS.findall(done.stdout) == []


def test_standalone_brings_every_image_from_one_registry() -> None:
    images = named(render("standalone-mirrored"))
    assert len(images) > 10
    assert [image for image in images if not image.startswith(f"{MIRROR}/")] == []


def test_without_a_registry_each_image_has_its_own() -> None:
    images = {image.partition(":")[0] for image in named(render("official"))}
    assert images >= {"registry.k8s.io/git-sync/git-sync", "ghcr.io/versity/versitygw", "postgres", "tidegate/hello"}


def test_a_registry_that_stands_there_already_is_not_put_twice() -> None:
    refs = {name: f"{MIRROR}/{ref}" for name, ref in REFS.items()}
    values = merged(MIRRORED, {"steps": {"hello": {"image": refs["hello"]}}})
    settings = find(documents(template(staged("standalone"), values).stdout), "ConfigMap", "tidegate-steps")["data"]
    assert json.loads(settings["hello"])["image"] == refs["hello"]


@pytest.mark.parametrize("name", ["official", "standalone", "official-celery", "official-kubernetes"])
def test_every_image_of_ours_is_named_by_its_content(name: str) -> None:
    ours = [image for image in named(render(name)) if image.startswith("tidegate/")]
    assert set(ours) == {ref for image, ref in REFS.items() if image != "base"}


def test_an_image_by_digest_is_taken_as_it_is() -> None:
    by_digest = {"repository": "registry.example/airflow", "tag": None, "digest": DIGEST}
    values = {"airflow": {"images": {"airflow": by_digest}}, "steps": {"hello": {"image": f"r.example/hello@{DIGEST}"}}}
    images = named(documents(template(staged("official"), values).stdout))
    assert {f"registry.example/airflow@{DIGEST}", f"r.example/hello@{DIGEST}"} <= set(images)


MOVABLE = ["hello", "tidegate/hello:0.1.0", "localhost:5000/hello", "hello:202611211200", "hello@sha256:0123456789ab"]
EXACT = ["hello:0123456789ab", "localhost:5000/a/hello:0123456789abcdef", f"hello@{DIGEST}", f"hello:0.1.0@{DIGEST}"]


@pytest.mark.parametrize("reference", MOVABLE)
def test_the_chart_refuses_what_the_ledger_would_refuse_at_every_step(reference: str) -> None:
    with pytest.raises(MutableImage):
        image_identity(reference)
    done = template(staged("standalone"), {"steps": {"hello": {"image": reference}}})
    assert done.returncode != 0
    assert f"steps.hello.image is {reference}: " in done.stderr


def test_the_chart_accepts_what_the_ledger_accepts() -> None:
    steps = dict(zip(["hello", "run_command", "train_model", "upload_model"], EXACT, strict=True))
    assert all(image_identity(reference) for reference in EXACT)
    values = {"steps": {name: {"image": reference} for name, reference in steps.items()}}
    assert set(EXACT) <= set(named(documents(template(staged("standalone"), values).stdout)))


def test_an_install_without_exact_images_says_what_to_do() -> None:
    done = template(staged("standalone"), {}, images=False)
    assert done.returncode != 0
    assert "`tidegate images values` prints a values file" in done.stderr
