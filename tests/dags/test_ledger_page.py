"""The ledger's page: behind Airflow's own sign-in, within what a user may read, escaped, and true to the ledger."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow import plugins_manager
from airflow.api_fastapi import app as airflow_api
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.ledger import servers
from tests.ledger.world import Clock, Stores, ask, done, failed, key, ran, run
from tidegate.airflow import step
from tidegate.ledger import Claim, Hit, Ledger, Output, State, Wait
from tidegate.ledger.migrate import migrate
from tidegate.ledger.model import Outcome
from tidegate.page import PREFIX
from tidegate.page import app as page
from tidegate.page.plugin import TASK, TidegatePlugin

if TYPE_CHECKING:
    from collections.abc import Iterator

READABLE = ("petrol", "hello")
EVIL = "<script>alert(1)</script>\"'&"


class Readers(SimpleAuthManager):
    """Airflow's simple auth manager, for a user who may read `READABLE` and nothing else."""

    def is_authorized_dag(self, *, method: Any, details: Any = None, **_: Any) -> bool:
        return method == "GET" and details is not None and details.id in READABLE


@pytest.fixture(scope="module")
def signed_in(database: None) -> Iterator[str]:
    """The token of a user, made and checked by Airflow's own code."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "x" * 64)
    patch.setattr(airflow_api._AuthManagerState, "instance", Readers())
    with create_session() as session:
        session.merge(DagBundleModel(name="page"))
        session.flush()
        for name in (*READABLE, "secret_dag"):
            session.merge(DagModel(dag_id=name, bundle_name="page"))
    yield airflow_api.get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role="viewer"))
    patch.undo()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"
        return
    with servers.postgresql() as admin:
        yield admin


@pytest.fixture(scope="module")
def world(address: str) -> Iterator[dict[str, Any]]:
    """A ledger with a bit of everything: what ran, a hit, a failure, work in flight, another pipeline's secret."""
    migrate(address)
    stores, clock = Stores(), Clock()
    ledger = Ledger(address, probe=stores, clock=clock)
    first = ledger.begin(ask(1))
    assert isinstance(first, Claim)
    clock.ahead = timedelta(seconds=75)
    trained = ledger.close(first, done(stores))
    assert trained is not None
    assert isinstance(ledger.begin(ask(2)), Hit)
    again = ran(ledger, ask(3, work=key(params={"n_estimators": 300})), done(stores))
    assert isinstance(ledger.begin(ask(4, work=key(step="upload_model"))), Claim)
    assert isinstance(ledger.begin(ask(5, work=key(step="upload_model"))), Wait)
    ran(ledger, ask(task=run(6, task_id=EVIL), work=key(params={"x": EVIL})), failed(message=EVIL))
    output = Output(name=EVIL, url=f"s3://b/{EVIL}", size=1)
    odd = Outcome(state=State.SUCCEEDED, outputs=(output,), metrics={EVIL: 1.0}, summary=EVIL)
    evil = ran(ledger, ask(task=run(7), work=key(step="hello", params={"x": EVIL})), odd)
    hidden = ran(ledger, ask(task=run(8, pipeline="secret_dag"), work=key(params={"top": "classified"})), done(stores))
    yield {"trained": trained, "again": again, "evil": evil, "hidden": hidden}
    ledger.shut()


@pytest.fixture
def client(
    signed_in: str, world: dict[str, Any], address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The page, mounted below another application as Airflow does it."""
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
    page.ledger.cache_clear()
    outer = FastAPI()
    outer.mount(PREFIX, TidegatePlugin.fastapi_apps[0]["app"])
    with TestClient(outer, base_url="http://airflow.example" + PREFIX, cookies={"_token": signed_in}) as made:
        yield made
    page.ledger().shut()
    page.ledger.cache_clear()


def shown(client: TestClient, path: str, **params: Any) -> str:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


PATHS = ("/", "/step/train_model", "/row/1", f"/{TASK.partition('?')[0]}?pipeline=petrol&run_id=x&task_id=y")


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_anything_without_signing_in(client: TestClient, path: str) -> None:
    client.cookies.clear()
    assert client.get(path).status_code == 401
    answer = client.get(path, headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 403
    assert "petrol" not in answer.text


def test_the_first_page_tells_what_ran_and_what_was_skipped_and_why(client: TestClient, world: dict[str, Any]) -> None:
    text = shown(client, "/")
    assert "<b>1</b>pods saved" in text
    assert "<b>1 min 15 s</b>" in text
    assert f'used the result of <a href="{PREFIX}/row/{world["trained"].id}">' in text
    assert "params.n_estimators was 200, is 300" in text
    for word in ("skipped", "ran", "waits", "application_error"):
        assert word in text


def test_filters_narrow_the_first_page(client: TestClient) -> None:
    assert "skipped</span>" in shown(client, "/", pipeline="petrol", verdict="hit")
    assert "skipped</span>" not in shown(client, "/", step="upload_model")
    assert "nothing yet" in shown(client, "/", pipeline="hello")
    assert "<b>0</b>pods saved" in shown(client, "/", pipeline="hello")


def test_another_pipeline_is_not_even_named(client: TestClient, world: dict[str, Any]) -> None:
    hidden = world["hidden"]
    pages = [shown(client, path) for path in ("/", "/step/train_model")]
    pages += [shown(client, "/", pipeline="secret_dag"), shown(client, "/step/train_model", pipeline="secret_dag")]
    pages.append(shown(client, "/task", pipeline="secret_dag", run_id=hidden.run_id, task_id=hidden.task_id))
    assert client.get(f"/row/{hidden.id}").status_code == client.get("/row/999999").status_code == 404
    assert all("classified" not in text and f'/row/{hidden.id}"' not in text for text in pages)
    assert "secret_dag" not in pages[0] + pages[1]


def test_a_row_tells_all_and_what_differs_from_the_one_before(client: TestClient, world: dict[str, Any]) -> None:
    text = shown(client, f"/row/{world['again'].id}")
    assert "since <a" in text
    assert "params.n_estimators was 200, is 300" in text
    assert "s3://tidegate/runs/model.pkl" in text
    assert "metric r2" in text
    users = shown(client, f"/row/{world['trained'].id}")
    assert "scheduled__2" in users, "who used the result"


def test_metrics_are_drawn_over_the_runs(client: TestClient) -> None:
    text = shown(client, "/step/train_model", pipeline="petrol")
    (line,) = re.findall(r'<polyline points="([^"]*)"', text)
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(points) == 2
    assert points[0][0] < points[1][0], "time runs to the right"
    assert len(re.findall(r"<title>0.81, row \d+", text)) == 2
    assert "No successful run" in shown(client, "/step/train_model", task_id="nobody")


def test_a_task_instance_finds_its_row(client: TestClient, world: dict[str, Any]) -> None:
    asked = {"pipeline": "petrol", "run_id": "scheduled__2", "task_id": "train_model", "map_index": -1}
    text = shown(client, "/task", **asked)
    assert f'/row/{world["trained"].id}"' in text
    assert shown(client, "/task", **asked | {"map_index": "{MAP_INDEX}"}) == text, "what the UI asks for in its tab"
    assert "nothing yet" in shown(client, "/task", **asked | {"map_index": 3})
    assert client.get("/task", params=asked | {"map_index": "x"}).status_code == 422


def test_everything_is_escaped(client: TestClient, world: dict[str, Any]) -> None:
    paths = ["/", "/step/hello", f"/row/{world['evil'].id}", f"/row/{world['evil'].id - 1}"]
    pages = [shown(client, path) for path in paths]
    pages += [shown(client, "/", pipeline=EVIL, step=EVIL, verdict=EVIL), shown(client, "/step/hello", task_id=EVIL)]
    pages += [shown(client, "/task", pipeline=EVIL, run_id=EVIL, task_id=EVIL), shown(client, "/step/%3Cscript%3E")]
    assert any("&lt;script&gt;" in text for text in pages)
    for text in pages:
        assert "<script" not in text
        assert not re.search(r"=\"[^\"]*alert\(1\)</script>\"", text)


def test_nothing_is_fetched_from_elsewhere(client: TestClient) -> None:
    text = "".join(shown(client, path) for path in PATHS[:3])
    targets = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert targets
    assert [one for one in targets if not one.startswith(f"{PREFIX}/")] == []


def test_a_ledger_that_is_down_is_said_and_shows_no_password(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = page.ledger()
    for address, word in (("postgresql://u:hunter2@127.0.0.1:1/x", "cannot be used"), ("", "TIDEGATE_LEDGER_URL")):
        monkeypatch.setenv("TIDEGATE_LEDGER_URL", address)
        page.ledger.cache_clear()
        answer = client.get("/")
        assert answer.status_code == 503
        assert word in answer.text
        assert "hunter2" not in answer.text
    live.shut()
    monkeypatch.setenv("TIDEGATE_LEDGER_URL", "sqlite://")


def test_airflow_takes_the_plugin_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: ([TidegatePlugin()], {}))
    (told,) = plugins_manager.get_plugin_info()
    views = PluginResponse.model_validate(told).external_views
    assert {view.destination for view in views} == {"nav", "task_instance"}
    monkeypatch.setattr(plugins_manager, "get_fastapi_plugins", lambda: (TidegatePlugin.fastapi_apps, []))
    outer = FastAPI()
    airflow_api.init_plugins(outer)
    assert PREFIX in [getattr(route, "path", "") for route in outer.routes]


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A step and a mapped step as Airflow's API server has them: out of the serialized DAG, with the plugin's links."""
    with DAG("petrol", schedule=None) as dag:
        step("hello", task_id="train_model")
        step.partial("hello", task_id="many").expand(params=[{"n": 1}, {"n": 2}])
    monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: ([TidegatePlugin()], {}))
    plugins_manager._get_extra_operators_links_plugins.cache_clear()
    yield DagSerialization.from_dict(DagSerialization.to_dict(dag))
    plugins_manager._get_extra_operators_links_plugins.cache_clear()


def links(dag: Any, task_id: str, *, run_id: str, map_index: int = -1, try_number: int = 1) -> dict[str, str]:
    """What `GET …/taskInstances/{task_id}/links` answers."""
    where = {"dag_id": "petrol", "task_id": task_id, "run_id": run_id, "map_index": map_index}
    ti = SimpleNamespace(key=TaskInstanceKey(**where, try_number=try_number))
    task = dag.get_task(task_id)
    return {name: task.get_extra_links(ti, name) for name in task.extra_links}


def test_a_step_links_to_its_tries_in_the_ledger(linked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/base/")
    page_of = "https://airflow.example/base/tidegate/ledger/task?pipeline=petrol&run_id=r+%2B1&task_id="
    found = links(linked, "train_model", run_id="r +1")
    assert found == {"Tries in the ledger": f"{page_of}train_model&map_index=-1", "Pod": ""}
    found = links(linked, "many", run_id="r +1", map_index=1)
    assert found["Tries in the ledger"] == f"{page_of}many&map_index=1"


def test_a_step_links_to_its_pod_where_there_is_a_dashboard(
    linked: Any, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client
    monkeypatch.setenv("AIRFLOW__TIDEGATE__POD_URL", "https://pods.example/{namespace}/{pod}")
    ran_one = links(linked, "train_model", run_id="scheduled__1")
    assert ran_one["Pod"] == "https://pods.example/tidegate-steps/train-1"
    assert links(linked, "train_model", run_id="scheduled__2")["Pod"] == "", "it hit: no pod of its own"
    assert links(linked, "train_model", run_id="nowhere")["Pod"] == ""


def test_processes_that_show_no_page_do_not_load_it(another: dict[str, str]) -> None:
    """What tells Airflow of the type of connection is read everywhere, the page is not."""
    provider = ["tidegate.airflow", "tidegate.airflow.provider"]
    assert sorted(another["PAGE"].split()) == [*provider, "tidegate.page", "tidegate.page.plugin"]
