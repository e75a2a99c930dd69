"""What watches Tidegate: every query of the dashboard and of the alerts names figures and tags that the code has."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from typing import Any

import pytest
import yaml

from tests.helm.renders import find, render
from tests.helm.test_settings import airflow_folder
from tidegate.airflow.failures import Kind
from tidegate.cluster.chart import CHART
from tidegate.cluster.project import ROOT

OURS = "airflow_tidegate_"
OUTCOMES = {"ran", "hit", "ended", "failed"}
WORDS = {"dag_id", "step", "kind", "outcome"}
"""Of PromQL's own words none begins with `airflow_`."""


@cache
def emitted() -> dict[str, set[str]]:
    """Prometheus' name of each figure that the code adds to -> its tags, read from the calls themselves."""
    tree = ast.parse((ROOT / "tidegate/airflow/metrics.py").read_text())
    names = {
        node.target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_add"]
    return {f"airflow_{names[call.args[0].id].replace('.', '_')}": _tags(call.args[2]) for call in calls}  # type: ignore[attr-defined]


def _tags(node: ast.expr) -> set[str]:
    """The keys of a dict; `tags` stands for the two that all have."""
    if isinstance(node, ast.Name):
        return {"dag_id", "step"}
    assert isinstance(node, ast.Dict)
    own = {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return own | ({"dag_id", "step"} if None in node.keys else set())  # type: ignore[return-value]


@cache
def airflows() -> set[str]:
    """Prometheus' names of Airflow's own figures."""
    path = airflow_folder() / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    return {f"airflow_{one['name'].replace('.', '_')}" for one in yaml.safe_load(path.read_text())["metrics"]}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "dashboards" / "tidegate.dashboard.json").read_text())
    return found


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    return found


def queries() -> dict[str, str]:
    """Every query, by the panel or alert that asks it."""
    panels = {f"{panel['title']} {t['refId']}": t["expr"] for panel in dashboard()["panels"] for t in panel["targets"]}
    choices = {
        one["name"]: one["query"]["query"] for one in dashboard()["templating"]["list"] if one["type"] == "query"
    }
    return {**panels, **choices, **{alert["alert"]: alert["expr"] for alert in alerts()}}


def selectors(query: str) -> list[tuple[str, str]]:
    """Each figure in a query, and what stands in braces behind it."""
    return re.findall(r"\b(airflow_\w+)(?:\{([^}]*)\})?", query)


def test_the_code_emits_what_the_chart_wants_to_show() -> None:
    assert set(emitted()) == {f"{OURS}{name}" for name in NAMES}


NAMES = ("steps_total", "step_seconds_total", "saved_seconds_total", "pods_total", "ledger_away_total")


@pytest.mark.parametrize(("who", "query"), queries().items())
def test_a_query_names_figures_and_tags_that_there_are(who: str, query: str) -> None:
    assert selectors(query), who
    for name, inside in selectors(query):
        assert name in emitted() or (not name.startswith(OURS) and name in airflows()), name
        labels = dict(re.findall(r'(\w+)=~?"([^"]*)"', inside))
        assert set(labels) <= emitted().get(name, set()), name
        assert set(labels.get("outcome", "ran").split("|")) <= OUTCOMES
        assert set(labels.get("kind", "platform").split("|")) <= {*map(str, Kind), "none"}


def test_every_figure_of_ours_is_shown() -> None:
    shown = {name for query in queries().values() for name, _ in selectors(query)}
    assert set(emitted()) <= shown


def test_the_walk_finds_what_is_not_there() -> None:
    assert selectors('sum(rate(airflow_tidegate_stepz_total{dag="x"}[5m]))') == [
        ("airflow_tidegate_stepz_total", 'dag="x"')
    ]
    assert "airflow_tidegate_stepz_total" not in emitted()


def test_every_query_groups_by_tags_that_its_figures_have() -> None:
    for who, query in queries().items():
        for names in re.findall(r"\bby \(([^)]*)\)", query):
            assert {name.strip() for name in names.split(",")} <= WORDS, who


def test_panels_do_not_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard()["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_is_shipped_where_grafanas_sidecar_looks() -> None:
    config = find(render("official-production"), "ConfigMap", "tidegate-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["tidegate.json"]) == dashboard()


def test_the_alerts_are_shipped_as_they_stand() -> None:
    rule = find(render("official-production"), "PrometheusRule", "tidegate")
    assert rule["spec"]["groups"] == [{"name": "tidegate", "rules": alerts()}]
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_each_alert_says_how_bad_and_what_it_is_and_the_docs_what_to_do() -> None:
    told = (ROOT / "docs" / "operating.md").read_text()
    for alert in alerts():
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}
        assert alert["annotations"]["summary"]
        assert f"`{alert['alert']}`" in told


def test_none_of_it_is_there_unasked() -> None:
    names = {(d["kind"], d["metadata"]["name"]) for d in render("official")}
    asked = {("ConfigMap", "tidegate-dashboard"), ("PrometheusRule", "tidegate"), ("Deployment", "airflow-statsd")}
    assert names & asked == set()


def test_airflow_reaches_the_exporter_and_prometheus_does() -> None:
    documents = render("official-production")
    config = find(documents, "ConfigMap", "airflow-config")["data"]["airflow.cfg"]
    assert "statsd_on = True" in config
    assert "statsd_host = airflow-statsd" in config
    settings = find(documents, "ConfigMap", "tidegate-airflow")["data"]
    assert settings["AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED"] == "True", "or tags are dropped"
    ports = {p["name"]: p["port"] for p in find(documents, "Service", "airflow-statsd")["spec"]["ports"]}
    rules = find(documents, "NetworkPolicy", "airflow-statsd")["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in rules] == [ports["statsd-ingest"], ports["statsd-scrape"]]
