"""Nothing of the original provider is missing here, by a table that names a test for each of its abilities."""

from __future__ import annotations

import ast
import inspect

import pytest

from tests.dags.azureml_better import BETTER, DEFECTS
from tests.dags.azureml_parity import ORIGINAL, ROWS, WAITING
from tests.dags.conftest import ROOT
from tidegate.airflow import azureml

NAMED = sorted(
    {test for _, _, tests in ROWS for test in tests}
    | {test for _, tests in DEFECTS.values() for test in tests}
    | {test for tests in BETTER.values() for test in tests}
)


@pytest.mark.parametrize("file", sorted({name.partition("::")[0] for name in NAMED}))
def test_every_named_test_exists(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {name.partition("::")[2] for name in NAMED if name.startswith(f"{file}::")} - there == set()


@pytest.mark.parametrize("name", sorted(ORIGINAL))
def test_every_operator_has_the_originals_name_and_parameters(name: str) -> None:
    operator = getattr(azureml, f"AzureMachineLearning{name}Operator")
    taken = inspect.signature(operator.__init__).parameters
    assert ORIGINAL[name] - set(taken) == set()
    if name in WAITING:
        assert taken["waiting"].default is WAITING[name]


def test_every_operator_and_parameter_of_the_original_has_a_row() -> None:
    said = [what for section, what, _ in ROWS if section == "1.4"]
    wanted = {f"{name} {parameter}" for name, parameters in ORIGINAL.items() for parameter in parameters}
    assert {one for one in wanted if not any(what.startswith(one) for what in said)} == set()


def test_every_defect_has_a_test_that_fails_on_it() -> None:
    assert sorted(DEFECTS) == list(range(1, 17))
    assert all(tests for _, tests in DEFECTS.values())
