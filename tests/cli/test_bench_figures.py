"""The figures of the benchmarks: what is counted, and that a report says what it is of and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.bench import bare, dags, fan_out, figures, hit, hops, idle, report, run, step_overhead

METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="LIST",version="v1"} 7
apiserver_request_total{code="410",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="LIST",version="v1"} 1
apiserver_request_total{code="200",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 1.2e+03
apiserver_request_total{code="200",group="metrics.k8s.io",resource="pods",subresource="",verb="LIST",version="v1"} 99
apiserver_request_total{code="200",dry_run="",group="",resource="nodes",scope="resource",subresource="",verb="GET",version="v1"} 5
apiserver_longrunning_requests{group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 4
apiserver_longrunning_requests{group="",resource="pods",scope="namespace",subresource="",verb="WATCH",version="v1"} 2
"""  # noqa: E501 - as the API server writes it
LISTING = """\
@@ 1
command: airflow triggerer
stat: 1 (air flow) x) S 0 1 1 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5 6 7
VmRSS:	  204800 kB
Pss:               102400 kB
@@ 17
command: sh
stat: 17 (sh) R 1 1 1 0 -1 4194560 1 2 3 4 0 1 0 0 20 0 1 0 5 6 7
VmRSS:	  1024 kB
@@ 18
command:
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_spread_is_told_as_low_middle_high() -> None:
    assert str(figures.spread([3.0, 1.0, 2.04])) == "1.0 / 2.0 / 3.0"
    assert figures.spread([5.0]).count == 1


def test_overhead_is_taken_round_by_round() -> None:
    samples = {"bare": [2.0, 4.0], "step": [5.0, 5.0]}
    assert figures.over(samples, floor="bare") == {"step": [3.0, 1.0]}


def test_requests_are_counted_by_verb_over_all_answers_and_for_pods_only() -> None:
    assert figures.requests(METRICS) == {"LIST pods": 8, "PATCH pods/status": 1200}
    assert figures.open_watches(METRICS) == 6


def test_a_process_is_read_with_its_cpu_time_and_memory() -> None:
    found = figures.processes(LISTING)
    assert found[1] == figures.Process(1, 2.0, 200.0, 100.0, "airflow triggerer")
    assert sorted(found) == [1, 17]


def test_cpu_is_of_those_that_stayed() -> None:
    before = {1: figures.Process(1, 2.0, 0, 0, ""), 2: figures.Process(2, 9.0, 0, 0, "")}
    after = {1: figures.Process(1, 5.0, 0, 0, ""), 3: figures.Process(3, 4.0, 0, 0, "")}
    assert figures.cpu_share(before, after, seconds=60) == pytest.approx(0.05)


def marks(**seconds: float | None) -> dict[str, datetime | None]:
    return {name: None if x is None else START + timedelta(seconds=x) for name, x in seconds.items()}


def test_hops_are_medians_and_a_missing_mark_is_left_out() -> None:
    rounds = [marks(asked=0, begun=1, made=2, over=4), marks(asked=0, begun=3, made=None, over=7)]
    assert figures.hops(rounds, ("asked", "begun", "container", "made", "over")) == [
        ("asked", 0.0, 0.0, 2),
        ("begun", 2.0, 2.0, 2),
        ("made", 2.0, 1.0, 1),
        ("over", 5.5, 2.0, 2),
    ]


def test_a_log_tells_the_triggerers_lines_from_the_pods() -> None:
    def entry(second: int, logger: str) -> dict[str, Any]:
        return {"timestamp": (START + timedelta(seconds=second)).isoformat(), "event": "x", "logger": logger}

    told = hops.from_log([entry(1, "tidegate.step"), entry(4, "pod"), entry(3, "pod"), entry(5, "tidegate.step")])
    assert told == marks(picked_up=1, printed=3, finished=4, told=5)


def test_nanoseconds_are_cut_to_what_python_reads() -> None:
    assert hops.cut("2026-01-02T03:04:05.123456789Z") == "2026-01-02T03:04:05.123456+00:00"
    assert datetime.fromisoformat(hops.cut("2026-01-02T03:04:05.1Z")).microsecond == 100000


def test_a_bare_pod_is_the_steps_pod_but_for_its_name_node_and_owner() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "TIDEGATE_PARAMS", "value": "{}"}]
    labels = {"app.kubernetes.io/managed-by": "tidegate", "tidegate.dev/step": "hello"}
    made = {
        "metadata": {"name": "hello-1", "labels": labels, "uid": "u"},
        "spec": {"nodeName": "n", "containers": [{"image": "i", "env": env}], "restartPolicy": "Never"},
        "status": {"phase": "Succeeded"},
    }
    pod = bare.bare(made)
    wanted = [{"name": "A", "value": "1"}, {"name": "TIDEGATE_PARAMS", "value": '{"lines": 1}'}]
    assert pod["spec"] == {"containers": [{"image": "i", "env": wanted}], "restartPolicy": "Never"}
    assert pod["metadata"]["labels"] == labels | {"app.kubernetes.io/managed-by": "bench"}
    assert {"name", "uid"} & pod["metadata"].keys() == set()
    assert "status" not in pod


@pytest.mark.parametrize("dag_id", [dags.STEP, dags.STOCK, dags.IDLE, dags.HIT])
def test_dag_files_are_python_and_name_themselves(dag_id: str) -> None:
    texts = {
        dags.STEP: dags.single(dags.STEP),
        dags.STOCK: dags.stock(dags.STOCK, {"metadata": {"namespace": "it's \n \\n"}}, deferrable=True),
        dags.IDLE: dags.fan(dags.IDLE, 5, seconds=60),
        dags.HIT: dags.petrol_like(dags.HIT),
    }
    compile(texts[dag_id], dag_id, "exec")
    assert f'DAG("{dag_id}"' in texts[dag_id]


def test_each_round_begins_with_another_way() -> None:
    ways = [step_overhead.turned(step_overhead.WAYS, number) for number in range(4)]
    assert {one[0] for one in ways} == set(step_overhead.WAYS)
    assert all(sorted(one) == sorted(step_overhead.WAYS) for one in ways)


def overhead() -> dict[str, Any]:
    costs = {step_overhead.BARE: 2.0, step_overhead.STEP: 3.0, step_overhead.STOCK: 7.0, step_overhead.DEFERRABLE: 9.0}
    return {"samples": {way: [cost] * 3 for way, cost in costs.items()}, "hops": [("asked", 0.0, 0.0, 3)]}


def test_the_overhead_is_a_share_of_the_stock_operators() -> None:
    said = step_overhead.show(overhead())
    assert "| step() | 3.0 / 3.0 / 3.0 | 1.0 / 1.0 / 1.0 | 0.20 |" in said
    assert "it is 0.20: met." in said
    assert "not met" in step_overhead.show({**overhead(), "samples": overhead()["samples"] | {"step()": [5.0] * 3}})


def sample(seconds: float, green: int, **requests: int) -> dict[str, Any]:
    return {"seconds": seconds, "green": green, "requests": requests, "watches": 1}


def test_a_fan_out_with_a_red_step_has_not_met_its_goal() -> None:
    good = {fan_out.BARE: [sample(10, 30)], fan_out.STEPS: [sample(11, 30)]}
    assert "30: met" in fan_out.show({"30": good})
    assert "30: not met" in fan_out.show({"30": good | {fan_out.STEPS: [sample(11, 29)]}})
    assert "30: not met" in fan_out.show({"30": good | {fan_out.STEPS: [sample(11.1, 30)]}})


def test_what_steps_wait_for_is_set_without_touching_the_rest() -> None:
    config = {
        "_platform": '{"store_root": "s3://x", "limits": {"pipelines": {"petrol": 2}}}',
        "hello": '{"image": "i"}',
    }
    assert idle.for_admission(config) == config | {
        "_platform": '{"store_root": "s3://x", "limits": {"pipelines": {"petrol": 2, "bench_idle": 1}}}'
    }
    assert idle.for_a_node(config)["hello"] == '{"image": "i", "node_selector": {"tidegate.dev/bench": "nowhere"}}'


def test_a_hit_is_timed_from_its_tasks_start_to_its_end() -> None:
    task = {"start_date": START.isoformat(), "end_date": (START + timedelta(seconds=1.5)).isoformat()}
    first = {"timestamp": (START + timedelta(seconds=0.5)).isoformat(), "event": "x"}
    assert hit.times(task, [first]) == {"own": 1.5, "before": 0.5}
    assert hit.times(task, []) == {"own": 1.5}


def test_the_goal_of_hits_is_for_the_median_of_all_tasks() -> None:
    samples = {"train_model": {"own": [0.5, 0.9], "before": [0.25]}, "upload_model": {"own": [1.2]}}
    said = hit.show({"samples": samples})
    assert "| train_model | 2 | 0.50 / 0.70 / 0.90 | 0.25 / 0.25 / 0.25 |" in said
    assert "| upload_model | 1 | 1.20 / 1.20 / 1.20 |  |" in said
    assert "it is 0.90 s: met." in said
    assert "it is 1.05 s: not met." in hit.show({"samples": samples | {"upload_model": {"own": [1.2, 2.0]}}})


def test_the_report_says_of_when_each_part_is_and_what_is_missing() -> None:
    record = {"when": "2026-01-01 00:00 UTC", "where": "2 cores", "figures": overhead()}
    records = {"step_overhead": record, "fan_out": None, "idle": None, "hit": None, "images": None, "dedup": record}
    records["dedup"] = record | {"figures": {"sizes": [], "febrl": []}}
    said = report.text(run.SHOW, records, {"idle": "Fault: no triggerer\nmore"})
    assert "## step_overhead\n\n2026-01-01 00:00 UTC, 2 cores." in said
    left = (
        "`fan_out` has not run.",
        "`hit` has not run.",
        "`images` has not run.",
        "`idle` failed when it last ran: Fault: no triggerer",
    )
    assert said.endswith("".join(f"- {line}\n" for line in left))


def test_the_report_keeps_what_was_measured_elsewhere() -> None:
    there = {"hit": "## hit\n\nYesterday, 64 cores.\n"}
    said = report.text(run.SHOW, dict.fromkeys(run.SHOW), {}, standing=there)
    assert there["hit"] in said
    assert "`hit` has not run" not in said
    assert set(report.standing()) <= {*run.SHOW, "What did not run"}


def test_a_benchmark_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.arguments(["fan_ou"])
    assert "no benchmark called fan_ou" in capsys.readouterr().err
    assert run.arguments(["--sizes", "5,7"]).sizes == (5, 7)
