"""What has not changed is not run again, what is under way is not run twice, and an outage loses nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.cluster import effects, petrol
from tests.cluster.commands import tidegate
from tests.cluster.scenes import NAME, TRAIN, UPLOAD
from tidegate.cli.runs import Run
from tidegate.page.plugin import PREFIX as PAGE

if TYPE_CHECKING:
    from tests.cluster.acts import Acts
    from tests.cluster.scenes import At
    from tests.cluster.timeline import Life

COMMON, TESTING = ("common_task_1", "common_task_2"), ("testing_task_1", "testing_task_2")
FLUSHED_WITHIN = 60
"""After an outage: a heartbeat of the triggerer writes what was kept."""


# ---------------------------------------------------------------- the same again


def test_the_same_hour_again_starts_no_pod_and_hands_the_values_back(at: At, acts: Acts) -> None:
    played = acts.petrol.result()
    assert at.pods(played.first) == [(TRAIN, 1), (UPLOAD, 1)]
    assert at.pods(played.again) == []
    assert at.book.verdicts(played.again) == {TRAIN: "hit", UPLOAD: "hit"}
    assert {task: at.value(played.again, task) for task in played.values} == played.values
    assert all(value["outputs"] for value in played.values.values())


def test_the_very_same_run_cleared_starts_no_pod(at: At, acts: Acts) -> None:
    played = acts.petrol.result()
    got = {key: use.verdict for key, use in at.book.tries(played.first).items()}
    assert got == {(TRAIN, 1): "run", (UPLOAD, 1): "run", (TRAIN, 2): "hit", (UPLOAD, 2): "hit"}
    assert at.pods(played.first) == [(TRAIN, 1), (UPLOAD, 1)]
    assert {task: at.value(played.first, task) for task in played.values} == played.values


def test_the_next_hour_uses_the_training_and_publishes_under_its_own(at: At, acts: Acts, store: petrol.S3) -> None:
    played = acts.petrol.result()
    assert at.pods(played.later) == [(UPLOAD, 1)]
    assert at.book.verdicts(played.later) == {TRAIN: "hit", UPLOAD: "run"}
    hour = petrol.hour_of(at.api.run("petrol", played.later.run_id) or {})
    assert hour.replace(minute=0) > played.hour
    assert petrol.folder_of(at.api, played.later.run_id) == f"models/petrol/{hour:%Y/%m/%d/%H}"
    before, after = (output(at, run) for run in (played.first, played.later))
    assert before["url"] != after["url"]
    body = petrol.body(store, petrol.key_of(after["url"]))
    assert hashlib.sha256(body).hexdigest() == before["sha256"] == after["sha256"]


def output(at: At, run: Run) -> dict[str, Any]:
    """The model as a run of petrol published it; others may have published under the same hour since."""
    found: list[dict[str, Any]] = at.value(run, UPLOAD)["outputs"]
    return next(one for one in found if one["name"] == "model")


def test_the_command_line_shows_the_hits(acts: Acts) -> None:
    run_id = acts.petrol.result().again.run_id
    done = tidegate("ledger", "uses", "--pipeline", "petrol", "--run", run_id, "--json", seconds=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {use["task_id"]: use["verdict"] for use in found["uses"]} == {TRAIN: "hit", UPLOAD: "hit"}
    assert found["saved"]["pods"] == 2
    assert found["saved"]["seconds"] > 0


def test_a_plan_says_what_the_run_then_does(at: At, acts: Acts) -> None:
    played = acts.petrol.result()
    said = {line["task_id"]: (line["action"], line["row"]) for line in played.plan}
    did = at.book.last(played.later)
    assert said == {TRAIN: ("SKIP", did[TRAIN].row.id), UPLOAD: ("RUN", None)}
    assert {task: use.verdict for task, use in did.items()} == {TRAIN: "hit", UPLOAD: "run"}


# ---------------------------------------------------------------- work that pipelines share


def test_testing_starts_pods_for_its_own_tasks_alone(at: At, acts: Acts) -> None:
    played = acts.tables.result()
    assert at.pods(played.training) == [(task, 1) for task in (*COMMON, "training_task_1")]
    assert at.pods(played.testing) == [(task, 1) for task in TESTING]
    trained, tested = at.book.last(played.training), at.book.last(played.testing)
    assert {task: use.verdict for task, use in tested.items()} == dict.fromkeys(COMMON, "hit") | dict.fromkeys(
        TESTING, "run"
    )
    assert {task: tested[task].row.id for task in COMMON} == {task: trained[task].row.id for task in COMMON}
    assert {task: at.value(played.testing, task) for task in COMMON} == {
        task: at.value(played.training, task) for task in COMMON
    }


def test_only_the_testing_tasks_see_parameter_3(at: At, acts: Acts) -> None:
    testing = acts.tables.result().testing
    told = {task: use.row.params["parameters"] for task, use in at.book.last(testing).items()}
    both = {"parameter_1": NAME, "parameter_3": "three"}
    assert {task: told[task] for task in TESTING} == dict.fromkeys(TESTING, both)
    assert {task: told[task] for task in COMMON} == {task: {"parameter_1": NAME} for task in COMMON}


# ---------------------------------------------------------------- the same at once


def test_of_twenty_runs_at_once_one_works_and_all_have_its_result(at: At, acts: Acts, store: petrol.S3) -> None:
    race = acts.race.result()
    (pod,) = effects.of(at.timeline.lives(), effects.CALM, race.ended)
    assert len(race.ended) == effects.RUNS
    verdicts = [at.book.verdicts(Run(effects.RACE, run_id))[effects.CALM] for run_id in race.ended]
    assert sorted(verdicts) == ["hit"] * (effects.RUNS - 1) + ["run"]
    assert len({json.dumps(at.value(run, effects.CALM), sort_keys=True) for run in race.green}) == 1
    effects.assert_one_effect(store, NAME, effects.CALM, by=pod)


def test_a_holder_that_is_killed_is_taken_over_and_the_effect_comes_once(at: At, acts: Acts, store: petrol.S3) -> None:
    race = acts.race.result()
    lives = effects.of(at.timeline.lives(), effects.DISTURBED, race.ended)
    assert [one.succeeded for one in lives] == [False, False, True], [one.name for one in lives]
    assert effects.overlaps(lives) == [], "a pod was made while the one before it lived"
    assert [run_id for run_id, state in race.ended.items() if state != "success"] == [race.stopped]
    rows = [at.book.last(run)[effects.DISTURBED].row for run in race.green]
    assert len({row.id for row in rows}) == 1
    assert [one.state for one in at.book.attempts(rows[0])] == ["failed", "failed", "succeeded"]
    assert len({json.dumps(at.value(run, effects.DISTURBED), sort_keys=True) for run in race.green}) == 1
    effects.assert_one_effect(store, NAME, effects.DISTURBED, by=lives[-1])


def test_force_begins_anew_and_nobody_gets_the_old_pods_result(at: At, acts: Acts, store: petrol.S3) -> None:
    played = acts.force.result()
    old, new = pods_of(at, played.old), pods_of(at, played.new)
    assert [one.succeeded for one in (*old, *new)] == [False, True]
    assert effects.overlaps([*old, *new]) == [], "the old pod lived when the new one was made"
    first, forced = at.book.tries(played.old)[effects.SLOW, 1].row, at.book.last(played.new)[effects.SLOW].row
    assert (forced.reason, forced.state, forced.attempt) == ("forced", "succeeded", 2)
    assert at.book.attempts(forced)[0].exit_reason == "superseded"
    assert first.id == forced.id, "the run that was replaced used the new attempt's result"
    assert at.value(played.old, effects.SLOW) == at.value(played.new, effects.SLOW)
    effects.assert_one_effect(store, f"{NAME}-force", effects.SLOW, by=new[0])


def pods_of(at: At, run: Run) -> list[Life]:
    return effects.of(at.timeline.lives(), effects.SLOW, {run.run_id})


# ---------------------------------------------------------------- the ledger away


def test_no_run_fails_while_the_ledger_is_away(at: At, acts: Acts) -> None:
    played = acts.outage.result()
    at.green(played.begun, played.during)
    assert "the ledger does not answer: the step's row is written when it does" in said(at, played.begun, TRAIN)
    assert "the ledger does not answer, the step runs without it" in said(at, played.during, "hello")
    assert at.pods(played.during) == [("hello", 1)]


def said(at: At, run: Run, task: str) -> str:
    return "\n".join(at.api.log(run.dag_id, run.run_id, task))


def test_no_row_is_lost_by_an_outage(at: At, acts: Acts) -> None:
    played = acts.outage.result()
    at.green(played.begun, played.during)

    def states() -> dict[str, str]:
        found = at.book.last(played.begun) | at.book.last(played.during)
        return {task: use.row.state for task, use in found.items()}

    wanted = dict.fromkeys((TRAIN, UPLOAD, "hello"), "succeeded")
    at.until(lambda: states() == wanted, what=f"the rows kept back, {states()}", seconds=FLUSHED_WITHIN)
    (greeted,) = at.book.tries(played.during).values()
    assert greeted.row.reason == "ledger_down"
    trained = at.book.last(played.begun)[TRAIN].row
    assert [one.url for one in trained.outputs] == [one["url"] for one in at.value(played.begun, TRAIN)["outputs"]]


# ---------------------------------------------------------------- the page


def test_the_page_shows_the_run_to_who_is_signed_in_and_nothing_to_others(at: At, acts: Acts) -> None:
    run_id = acts.force.result().old.run_id
    at.api.call("GET", "dags", params={"limit": 1})
    address, asked = f"http://{at.api.way.address}{PAGE}/", {"pipeline": effects.FORCE}
    shown = at.api.client.get(address, params=asked, headers={"Authorization": f"Bearer {at.api.token}"})
    assert shown.status_code == 200, shown.text
    assert run_id in shown.text
    refused = at.api.client.get(address, params=asked)
    assert refused.status_code == 401 or refused.is_redirect
    assert run_id not in refused.text
