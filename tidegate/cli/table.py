"""What `up`, `status` and `doctor` print: plain tables, made from data.

Writes: nothing; gives tables and text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidegate.cli.runs import Ran
    from tidegate.cluster.doctor import Check

UI_PORT, MAIL_PORT = 8080, 1080
WEATHER = "fetch_weather"
"""The task whose metrics are the temperatures of cities."""
PEOPLE, MAIL = "dedup_people", "tell_success"
"""The tasks that count what became of a batch of people, and mail it."""
COUNTS = {"new": "new", "match": "known", "review": "to review", "rejected": "rejected"}
"""Metric of `dedup_people` -> how it is said."""
TOLD_APART = (WEATHER, PEOPLE, MAIL, "make_people")
"""Tasks whose metrics have lines of their own, or say nothing more."""


def rows(title: str, headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> Table:
    """A table whose first column keeps its words whole; the others fold where there is no room."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0, overflow="fold", min_width=len(heading))
    for line in lines:
        table.add_row(*(str(cell) for cell in line))
    return table


def ran(tasks: Iterable[Ran]) -> Table:
    """What ran, and what each step says of it."""
    lines = [(one.run.dag_id, one.task_id, one.state, f"{one.seconds:.0f} s", _said(one)) for one in tasks]
    return rows("What ran", ("pipeline", "step", "state", "took", "it says"), lines)


def _said(task: Ran) -> str:
    return str(task.result.get("summary", ""))


def wrote(tasks: Iterable[Ran]) -> list[str]:
    """One line for each object that was written, with its whole URL, so that it can be copied."""
    found = [(f"{one.run.dag_id}.{one.task_id}", name, url) for one in tasks for name, url in one.outputs.items()]
    return columns(found)


def columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text with their cells one below the other; nothing is cut or folded."""
    if not lines:
        return []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def where_to_look(tasks: Sequence[Ran], *, logs: Sequence[str], user: str) -> list[str]:
    """Lines that say where everything is, and what to type; `logs` are the commands that show the pods' logs."""
    lines = [
        ("model", model(tasks) or "none was published"),
        *(("metrics", line) for line in metrics(tasks)),
        *(("weather", line) for line in weather(tasks)),
        *(("people", line) for line in people(tasks)),
        *(("mail", line) for line in mail(tasks)),
        ("UI", f"http://127.0.0.1:{UI_PORT} while `make ui` runs"),
        ("user", user),
        ("password", "`.venv/bin/tidegate password` prints it"),
        *(("pod's log", line) for line in logs),
    ]
    return columns(lines)


def model(tasks: Iterable[Ran]) -> str:
    """Where the published model lies, or nothing."""
    return next((task.outputs["model"] for task in tasks if task.task_id == "upload_model" and task.outputs), "")


def weather(tasks: Iterable[Ran]) -> list[str]:
    """Where the newest file of weather lies, and a line for each of its cities; nothing where there is none."""
    found = [task for task in tasks if task.task_id == WEATHER and task.outputs]
    lines = [[task.outputs["weather"], *_figures(task.result["metrics"])] for task in found]
    return lines[-1] if lines else []


def people(tasks: Iterable[Ran]) -> list[str]:
    """What became of each batch of people: how many are new, known, to be reviewed, rejected."""
    found = [one.result["metrics"] for one in tasks if one.task_id == PEOPLE and one.result.get("metrics")]
    return [f"{figures['records']:,} records: {_counts(figures)}" for figures in found]


def _counts(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{figures[name]:,} {words}" for name, words in COUNTS.items())


def mail(tasks: Iterable[Ran]) -> list[str]:
    """Where the mail about people can be read; nothing where none was sent."""
    sent = any(one.task_id == MAIL and one.state == "success" for one in tasks)
    return [f"http://127.0.0.1:{MAIL_PORT} while `.venv/bin/tidegate mail` runs"] if sent else []


def _figures(figures: Mapping[str, Any]) -> list[str]:
    return [f"{name} {_figure(value)}" for name, value in figures.items()]


def metrics(tasks: Iterable[Ran]) -> list[str]:
    """The metrics that tasks reported, a line each; two that report the same give one line."""
    found = [one.result["metrics"] for one in tasks if one.result.get("metrics") and one.task_id not in TOLD_APART]
    lines = [", ".join(_figures(figures)) for figures in found]
    return list(dict.fromkeys(lines))


def _figure(value: Any) -> str:  # noqa: ANN401
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def checks(found: Iterable[Check]) -> Table:
    """The doctor's findings; what was wanted, and what to do, only where something is wrong."""
    lines = [(one.name, _verdict(one), one.found, _advice(one)) for one in found]
    return rows("This machine", ("check", "is", "found", "what to do"), lines)


def _verdict(check: Check) -> str:
    if check.ok:
        return "ok"
    return "MISSING" if check.fatal else "note"


def _advice(check: Check) -> str:
    return "" if check.ok else f"want {check.wanted}; {check.advice}"
