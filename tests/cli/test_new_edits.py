"""Entries are put into files that people wrote: in order, comments kept, and a layout nobody thought of is refused."""

from __future__ import annotations

import pytest

from tidegate.cli.fault import Fault
from tidegate.cli.scaffold import edits

STEPS = ("hello", "train_model")
VALUES = """\
# about all
steps:
  # -- Greets.
  # In two lines.
  hello:
    # -- Image.
    image: tidegate/hello:0.1.0  # beside it
    ledger: {reuse: false}
  # -- Trains.
  train_model:
    image: tidegate/train_model:0.1.0

# -- After it.
pipelines:
  # -- Greets.
  hello: {}
"""
SKAFFOLD = """\
build:
  artifacts:
    # the root
    - image: tidegate/base
      context: .
    - image: tidegate/hello
      context: .
    - image: tidegate/train_model
      context: .
# below
deploy:
  helm:
    releases:
      - setValueTemplates:
          x: '{{.IMAGE_REPO_tidegate_airflow}}'
          steps.hello.image: 'h'
          steps.train_model.image: 't'
"""


@pytest.mark.parametrize(("name", "before"), [("a", "hello"), ("count", "hello"), ("score", "train_model"), ("z", "")])
def test_an_entry_of_the_values_stands_in_order_before_the_comments_of_the_next(name: str, before: str) -> None:
    text = edits.step_values(VALUES, name, about="Counts.", steps=STEPS)
    image = f"    # -- Image.\n    image: tidegate/{name}:0.1.0  # beside it\n"
    entry = f"  # -- Counts.\n  {name}:\n{image}"
    assert text.replace(entry, "") == VALUES
    rest = text[text.index(entry) + len(entry) :]
    following = next((step for step in STEPS if step == before), None)
    assert rest.startswith(
        {"hello": "  # -- Greets.", "train_model": "  # -- Trains.", None: "\n# -- After"}[following]
    )


def test_a_pipeline_may_stand_at_the_end_of_the_file() -> None:
    text = edits.pipeline_values(VALUES, "mine", about="Mine.")
    assert text == VALUES + "  # -- Mine.\n  mine: {}\n"


def test_skaffold_gets_the_image_and_its_tag() -> None:
    text = edits.skaffold(SKAFFOLD, "score", steps=STEPS)
    assert [line.strip() for line in text.splitlines() if "score" in line] == [
        "- image: tidegate/score",
        "custom: {buildCommand: make -s skaffold-build, dependencies: {dockerfile: {path: images/score/Dockerfile}}}",
        "steps.score.image: '{{.IMAGE_FULLY_QUALIFIED_tidegate_score}}'",
    ]
    assert "    # the root\n" in text
    assert text.index("tidegate/score") < text.index("tidegate/train_model")


@pytest.mark.parametrize(
    "spoilt",
    [
        VALUES.replace("steps:\n", "steps: {}\nothers:\n"),
        "steps: {hello: {image: x}}\npipelines: {}\n",
        VALUES.replace("  ", "    "),
        VALUES + "steps:\n  hello: 1\n  train_model: 2\n",
        "",
    ],
    ids=["elsewhere", "on one line", "deeper", "twice", "empty"],
)
def test_values_laid_out_otherwise_are_refused(spoilt: str) -> None:
    with pytest.raises(Fault, match=r"values\.yaml is laid out in another way"):
        edits.step_values(spoilt, "score", about="Scores.", steps=STEPS)


def test_a_skaffold_file_without_releases_is_refused() -> None:
    with pytest.raises(Fault, match=r"skaffold\.yaml is laid out"):
        edits.skaffold(SKAFFOLD.partition("deploy:")[0], "score", steps=STEPS)


PYPROJECT = """\
[dependency-groups]
stores = ["boto3"]
# why
hello = [{ include-group = "stores" }]
train_model = [
    { include-group = "stores" },
    "numpy>=2",
]
ledger = ["alembic"]
dev = [
    { include-group = "hello" },
    { include-group = "train_model" },
    "pytest",
]

[tool.ruff]
line-length = 120
"""


@pytest.mark.parametrize("name", ["count", "score", "zip_rows"])
def test_a_group_stands_among_the_steps_and_in_dev(name: str) -> None:
    text = edits.pyproject(PYPROJECT, name, steps=STEPS)
    assert text.count(name) == 2
    assert (
        text.replace(f'{name} = [{{ include-group = "stores" }}]\n', "").replace(
            f'    {{ include-group = "{name}" }},\n', ""
        )
        == PYPROJECT
    )
    group, where = text.index(f"\n{name} ="), {"count": "# why", "score": "train_model =", "zip_rows": "ledger ="}
    assert text[group:].splitlines()[2].startswith(where[name])


def test_groups_written_otherwise_are_refused() -> None:
    with pytest.raises(Fault, match=r"pyproject\.toml is laid out"):
        edits.pyproject(PYPROJECT.replace("dev = [\n", "dev = [ # all\n"), "score", steps=STEPS)


def test_a_contract_with_no_step_of_ours_is_refused() -> None:
    text = f"[{edits.CONTRACT}]\nmodules =\n    jobs.hello\n    jobs.train_model\n\n[x]\ny = 1\n"
    assert edits.importlinter(text, "score", steps=STEPS).split()[3:6] == [
        "jobs.hello",
        "jobs.score",
        "jobs.train_model",
    ]
    with pytest.raises(Fault, match=r"\.importlinter is laid out"):
        edits.importlinter(text.replace("jobs.", "work."), "score", steps=STEPS)
