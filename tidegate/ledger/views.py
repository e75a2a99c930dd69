"""Views with the names and columns of the original's tables, so that a dashboard's SQL still answers.

`ml_dag`, `ml_training_dag` and `ml_testing_dag` are the parameter sets that were run; `common_task_1` and so on, one a
task, say when the task last did that set's work and where its output lies. `datetime_finished` is empty until it
succeeded. Parameters are text, as they were. They are read from each run's parameters, not from keys: a common task's
key knows nothing of parameter_2.
"""

from __future__ import annotations

TRAINING, TESTING = "ml_training_dag", "ml_testing_dag"

TASKS = {
    "common_task_1": (TRAINING, TESTING),
    "common_task_2": (TRAINING, TESTING),
    "training_task_1": (TRAINING,),
    "testing_task_1": (TESTING,),
    "testing_task_2": (TESTING,),
}
"""Each task and the DAGs it is in."""

EXTRACT = {
    "postgresql": "(u.run_params::json ->> '{name}')",
    "mysql": "JSON_UNQUOTE(JSON_EXTRACT(u.run_params, '$.{name}'))",
    "mariadb": "JSON_UNQUOTE(JSON_EXTRACT(u.run_params, '$.{name}'))",
    "sqlite": "CAST(json_extract(u.run_params, '$.{name}') AS TEXT)",
}
"""A run's parameter as text."""

NAMES = ("ml_dag", TRAINING, TESTING, *TASKS)
"""In the order they are made; they go in the other."""


def statements(dialect: str) -> list[str]:
    """What makes the views."""
    task_views = [_task_view(dialect, name, pipelines) for name, pipelines in TASKS.items()]
    return [_sets(dialect), _set_of(dialect, TRAINING, 2), _set_of(dialect, TESTING, 3), *task_views]


def removals() -> list[str]:
    """What takes them away again."""
    return [f"DROP VIEW IF EXISTS {name}" for name in reversed(NAMES)]


def _parameter(dialect: str, number: int) -> str:
    return EXTRACT[dialect].format(name=f"parameter_{number}")


def _in(*names: str) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _sets(dialect: str) -> str:
    first = _parameter(dialect, 1)
    return (
        "CREATE VIEW ml_dag AS\n"
        f"SELECT MIN(u.id) AS id, MIN(u.datetime_decided) AS datetime_created, {first} AS parameter_1\n"
        "FROM ledger_use u\n"
        f"WHERE u.pipeline IN ({_in(TRAINING, TESTING)}) AND {first} IS NOT NULL\n"
        f"GROUP BY {first}"
    )


def _set_of(dialect: str, pipeline: str, number: int) -> str:
    first, own = _parameter(dialect, 1), _parameter(dialect, number)
    return (
        f"CREATE VIEW {pipeline} AS\n"
        f"SELECT MIN(u.id) AS id, d.id AS ml_dag_id, {own} AS parameter_{number},"
        " MIN(u.datetime_decided) AS datetime_created\n"
        f"FROM ledger_use u JOIN ml_dag d ON d.parameter_1 = {first}\n"
        f"WHERE u.pipeline = '{pipeline}' AND {own} IS NOT NULL\n"
        f"GROUP BY d.id, {own}"
    )


def _task_view(dialect: str, name: str, pipelines: tuple[str, ...]) -> str:
    """The newest use counts: an original table has one row a parameter set."""
    first = _parameter(dialect, 1)
    return (
        f"CREATE VIEW {name} AS\n"  # noqa: S608 - all names are this module's own
        "SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,\n"
        "  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished,"
        " r.output_path AS output_path\n"
        "FROM ml_dag d\n"
        f"JOIN (SELECT {first} AS parameter_1, MAX(u.id) AS id FROM ledger_use u\n"
        f"  WHERE u.task_id = '{name}' AND u.pipeline IN ({_in(*pipelines)}) GROUP BY {first}) n\n"
        "  ON n.parameter_1 = d.parameter_1\n"
        "JOIN ledger_use l ON l.id = n.id\n"
        "JOIN ledger_row r ON r.id = l.row_id"
    )
