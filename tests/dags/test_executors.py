"""The executors that values files choose can be loaded with the packages that are frozen."""

from __future__ import annotations

import pytest
import yaml
from airflow.executors.executor_loader import ExecutorLoader
from airflow.executors.executor_utils import ExecutorName

from tidegate.cluster.chart import CHART


@pytest.mark.parametrize("file", ["values.yaml", "values-celery.yaml", "values-kubernetes.yaml"])
@pytest.mark.filterwarnings("ignore")
def test_the_executor_of_a_values_file_can_be_loaded(file: str) -> None:
    name = yaml.safe_load((CHART / file).read_text())["airflow"]["executor"]
    found, _ = ExecutorLoader.import_executor_cls(ExecutorName(module_path=ExecutorLoader.executors[name]))
    assert found.__name__ == name
