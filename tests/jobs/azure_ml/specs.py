"""Specifications of the kinds that the original's examples use, in the SDK's own YAML."""

from __future__ import annotations

FILES = {"src/main.py": "print('hello')\n"}

COMMAND = """
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
command: python main.py --rate ${{inputs.rate}}
code: src
environment: azureml:iris:1
compute: azureml:cpu
inputs: {rate: 0.1}
experiment_name: testing-airflow
tags: {kind: example}
"""

SWEEP = """
type: sweep
trial:
  command: python main.py --rate ${{search_space.rate}}
  code: src
  environment: azureml:iris:1
search_space:
  rate: {type: uniform, min_value: 0.01, max_value: 0.9}
sampling_algorithm: random
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 20, max_concurrent_trials: 10, timeout: 7200}
compute: azureml:cpu
"""

AUTOML = """
type: automl
task: forecasting
primary_metric: normalized_root_mean_squared_error
training_data: {type: mltable, path: train}
target_column_name: demand
n_cross_validations: 3
compute: azureml:cpu
limits: {max_trials: 10, timeout_minutes: 60}
forecasting: {time_column_name: time, forecast_horizon: 48}
"""

NER = """
type: automl
task: text_ner
primary_metric: accuracy
training_data: {type: mltable, path: train}
validation_data: {type: mltable, path: train}
compute: azureml:gpu
limits: {timeout_minutes: 120, max_trials: 4}
sweep:
  sampling_algorithm: random
  early_termination: {type: bandit, evaluation_interval: 2, slack_factor: 0.05, delay_evaluation: 6}
search_space:
- model_name: {type: choice, values: [bert-base-cased, roberta-base]}
"""
TABLE = {"train/MLTable": "paths: [{file: ./a.csv}]\n", "train/a.csv": "time,demand\n"}

PIPELINE = """
type: pipeline
settings: {default_compute: azureml:cpu}
jobs:
  train:
    type: command
    component: ./train.yml
    inputs: {rate: 0.1}
"""

TRAIN = """
type: command
name: train
version: 1
code: src
command: python main.py --rate ${{inputs.rate}} --to ${{outputs.model}}
environment: azureml:iris:1
inputs: {rate: {type: number}}
outputs: {model: {type: uri_folder}}
"""

PARALLEL = """
type: pipeline
settings: {default_compute: azureml:cpu}
jobs:
  score:
    type: parallel
    inputs: {data: {type: uri_folder, path: "azureml://datastores/workspaceblobstore/paths/in"}}
    outputs: {scores: {}}
    input_data: ${{inputs.data}}
    mini_batch_size: "1"
    max_concurrency_per_instance: 2
    error_threshold: 1
    retry_settings: {max_retries: 2, timeout: 60}
    task: {type: run_function, code: src, entry_script: main.py, environment: azureml:iris:1}
"""

CLUSTER = "name: cpu\ntype: amlcompute\nsize: Standard_D4s_v3\nmin_instances: 0\nmax_instances: 1\n"
INSTANCE = "name: desk\ntype: computeinstance\nsize: Standard_D2s_v3\n"
ENVIRONMENT = "name: iris\nimage: docker.io/python:3\nconda_file: conda.yml\n"
CONDA = {"conda.yml": "dependencies: [python=3.13]\n"}
DATA = "name: weather\ntype: uri_folder\npath: data\n"
MODEL = "name: iris\ntype: custom_model\npath: model.pkl\n"
ONLINE = "name: iris-online\nauth_mode: key\n"
BLUE = (
    "name: blue\nendpoint_name: iris-online\nmodel: azureml:iris:1\ninstance_type: Standard_DS3_v2\ninstance_count: 1\n"
)
BATCH = "$schema: https://azuremlschemas.azureedge.net/latest/batchEndpoint.schema.json\nname: iris-batch\n"
NIGHTLY = "name: nightly\nendpoint_name: iris-batch\nmodel: azureml:iris:1\ncompute: azureml:cpu\nmini_batch_size: 2\n"
