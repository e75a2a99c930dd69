"""run_command: any program by the step contract; its files, its metrics, its exit codes, and no trace of it after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobs.run_command import environment as variables
from tests.jobs.servers import ROOT
from tests.jobs.steps import Ended, environment, files, fork_step, run_step
from tidegate.step import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place

PATHS = {"PATH": os.environ["PATH"]}


def run(folder: Path, *command: str, secret: str = "", data: str = "", output: str = "", **parameters: Any) -> Ended:
    params = {"command": list(command), "parameters": parameters}
    environ = environment(folder, params=params, inputs={"data": data} if data else {}, output=output) | PATHS
    return fork_step("run_command", environ | ({"MY_PASSWORD": secret} if secret else {}))


def shell(folder: Path, script: str, **options: Any) -> Ended:
    return run(folder, "sh", "-c", script, **options)


def test_parameters_go_in_and_files_come_out(tmp_path: Path) -> None:
    script = 'cd "$OUTPUT_FOLDER"; mkdir sub; printf "%s" "$PARAM_first" > a; cp a sub/b'
    done = shell(tmp_path, script, first="x y")
    assert done.code == 0, done.error
    assert files(tmp_path / "out") == ["a", "sub/b"]
    assert (tmp_path / "out" / "a").read_bytes() == b"x y"
    assert done.result is not None
    assert [(one["name"], one["size"]) for one in done.result["outputs"]] == [("a", 3), ("sub/b", 3)]
    assert done.result["summary"] == "sh wrote 2 file(s)"


def test_a_parameter_is_never_read_as_shell(tmp_path: Path) -> None:
    done = shell(
        tmp_path, 'printf "%s" "$PARAM_p" > "$OUTPUT_FOLDER/a"', p='"; touch "$OUTPUT_FOLDER/evil"; $(id) `id`'
    )
    assert done.code == 0, done.error
    assert files(tmp_path / "out") == ["a"]


def test_values_that_are_no_text_arrive_as_json() -> None:
    given = {"n": 1, "s": "1", "t": True, "l": [1, "a"], "o": {"x": None}}
    told = {"PARAM_n": "1", "PARAM_s": "1", "PARAM_t": "true", "PARAM_l": '[1, "a"]', "PARAM_o": '{"x": null}'}
    assert variables(given) == told


@pytest.mark.parametrize("bad", [{"a-b": 1}, {"": 1}, {"1a": 1}, {"a=b": 1}, {"a": "x\0y"}], ids=str)
def test_a_parameter_that_no_variable_can_hold_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        variables(bad)


def test_parameters_replace_no_variable_of_the_steps_own(tmp_path: Path) -> None:
    done = shell(tmp_path, 'echo "path $PATH, folder $OUTPUT_FOLDER"', PATH="/evil", OUTPUT_FOLDER="/evil")
    assert done.code == 0, done.error
    assert "/evil" not in done.out


def test_input_and_output_are_in_any_store(place: Place, tmp_path: Path) -> None:
    place.store.put(place.root / "in.txt", b"3\n1\n2\n")
    params = {"command": ["sh", "-c", 'sort > "$OUTPUT_FOLDER/sorted.txt"']}
    environ = environment(tmp_path, params=params, inputs={"data": place.root / "in.txt"}, output=place.root / "out")
    process = run_step if place.server.root.startswith("file:") else fork_step
    done = process("run_command", environ | PATHS | dict(place.server.environment))
    assert done.code == 0, done.error
    assert place.store.get(place.root / "out" / "sorted.txt") == b"1\n2\n3\n"


def test_an_input_that_nobody_reads_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    done = shell(tmp_path, 'echo ok > "$OUTPUT_FOLDER/a"', data=(tmp_path / "big").as_uri())
    assert done.code == 0, done.error


def test_metrics_are_taken_from_the_commands_own_file(tmp_path: Path) -> None:
    done = shell(tmp_path, 'echo \'{"score": 0.5, "rows": 3}\' > "$OUTPUT_FOLDER/metrics.json"')
    assert done.result is not None
    assert done.result["metrics"] == {"score": 0.5, "rows": 3.0}
    assert [one["name"] for one in done.result["outputs"]] == ["metrics.json"]


@pytest.mark.parametrize("text", ["[1]", '{"a": "x"}', '{"a": true}', "nonsense", '{"a": NaN}', '{"a": 1e999}'])
def test_metrics_that_are_no_numbers_are_refused(tmp_path: Path, text: str) -> None:
    done = shell(tmp_path, 'printf "%s" "$PARAM_text" > "$OUTPUT_FOLDER/metrics.json"', text=text)
    assert done.code == 2
    assert "metrics" in done.last_line
    assert files(tmp_path) == []


@pytest.mark.parametrize(("code", "ends"), [(2, 2), (75, 75), (1, 1), (9, 1)])
def test_exit_codes_mean_what_they_mean_for_every_step(tmp_path: Path, code: int, ends: int) -> None:
    done = shell(tmp_path, f'echo half > "$OUTPUT_FOLDER/a"; exit {code}')
    assert (done.code, done.result) == (ends, None)
    assert done.last_line == f"run_command: sh ended with exit code {code}; what it said stands above"
    assert files(tmp_path) == [], "a command that fails publishes nothing"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "no_such_program")
    assert done.code == 2
    assert "'no_such_program'" in done.last_line


def test_no_command_is_a_bad_setting(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.code == 2
    assert "$TIDEGATE_PARAMS.command" in done.last_line


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    done = shell(tmp_path, 'ln -s /etc/passwd "$OUTPUT_FOLDER/a"')
    assert done.code == 2
    assert "links" in done.last_line
    assert files(tmp_path) == []


def test_what_it_says_is_in_the_log_without_secrets(tmp_path: Path) -> None:
    done = shell(tmp_path, 'echo said; echo "key $MY_PASSWORD" >&2', secret="hunter2hunter2")
    assert "said\n" in done.out
    assert "key ***" in done.out
    assert "hunter2" not in done.out + done.error + json.dumps(done.result)


def test_children_that_it_leaves_behind_are_ended(tmp_path: Path) -> None:
    done = shell(tmp_path, 'sleep 300 & echo $! > "$OUTPUT_FOLDER/pid"')
    assert done.code == 0, done.error
    assert not alive(int((tmp_path / "out" / "pid").read_text()))


def test_sigterm_ends_the_command_and_publishes_nothing(tmp_path: Path) -> None:
    script = (
        f'echo x > "$OUTPUT_FOLDER/a"; echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid; sleep 300'
    )
    environ = environment(tmp_path, params={"command": ["sh", "-c", script]}) | PATHS
    process = subprocess.Popen([sys.executable, "-m", "jobs", "run_command"], env=environ, cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline, "the command did not start"
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
    assert not alive(int((tmp_path / "pid").read_text()))
    assert files(tmp_path) == ["pid"]


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
