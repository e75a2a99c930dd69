"""The commands: their arguments, and what they print. What they do stands in the modules beside this one.

Standard output carries what was asked for (a table, a password, a log); progress and faults go to standard error.
Exit: 0 done, 1 a fault that is told in words, 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any

import typer
from rich.console import Console

from tidegate.cli import airflow_api, dev_commands, images, local, pages, runs, state, step_pods, table, task_log
from tidegate.cli import down as down_module
from tidegate.cli import ledger as ledger_module
from tidegate.cli import plan as plan_module
from tidegate.cli import reconcile as reconcile_module
from tidegate.cli import up as up_module
from tidegate.cli.fault import Fault
from tidegate.cli.git_push import push_dags
from tidegate.cli.health import findings, gather, shown
from tidegate.cli.kubectl import Kubectl
from tidegate.cli.scaffold import commands as new
from tidegate.cluster import cache, chart
from tidegate.cluster import doctor as doctor_module
from tidegate.cluster import images as images_module
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import ROOT
from tidegate.progress import console, progress

out = Console(highlight=False)
"""Standard output."""

FAULTS = (ClusterError, images_module.ImageError, chart.ChartError)
"""What is told in words; anything else is a mistake of ours and keeps its traceback."""


class Commands(typer.Typer):
    """Turns a fault into its text and exit code 1."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in Typer
        """Run the command that the arguments name."""
        try:
            return super().__call__(*arguments, **options)
        except FAULTS as error:
            console.print("[bold red]error[/bold red]", end=" ")
            console.print(str(error), markup=False, soft_wrap=True)
            sys.exit(1)


app = Commands(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dags = typer.Typer(no_args_is_help=True, help="The pipelines.")
app.command()(dev_commands.dev)
app.add_typer(dev_commands.skaffold, name="skaffold", hidden=True)
app.add_typer(images.app, name="images")
app.add_typer(dags, name="dags")
app.add_typer(new.app, name="new")
ledger = typer.Typer(cls=ledger_module.LedgerGroup, no_args_is_help=True, help="What ran, what was skipped and why.")
app.add_typer(ledger, name="ledger")

ContextOption = Annotated[
    str | None, typer.Option("--context", help="kubeconfig context; default: that of the last `up`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.callback()
def main() -> None:
    """Pipelines on Kubernetes: Airflow decides when, every step is its own image."""
    cache.keep_temporary_files()


@app.command()
def up(
    *,
    context: Annotated[
        str | None, typer.Option(help="Install into this kubeconfig context, not a kind cluster.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="Push our images here; the context's nodes pull from it.")
    ] = None,
    airflow_chart: Annotated[
        Path | None, typer.Option(help="A copy of the official chart, airflow-1.22.0.tgz.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Train `petrol` on this file, not on the sample.")] = None,
    cluster_only: Annotated[bool, typer.Option("--cluster-only", help="Stop when the cluster is there.")] = False,
    install_only: Annotated[bool, typer.Option("--install-only", help="Install and push; run no pipeline.")] = False,
) -> None:
    """From nothing to pipelines that have run; a second call does only what has changed."""
    tasks = up_module.up(up_module.Wish(context, registry, airflow_chart, csv, cluster_only, not install_only))
    if tasks:
        found = Kubectl(state.context(context))
        look = table.where_to_look(tasks, logs=_log_commands(found, tasks), user=_account(found)["username"])
        _show(tasks)
        _lines("Where to look", look)


def _show(tasks: list[runs.Ran]) -> None:
    out.print(table.ran(tasks))
    _lines("What was written", table.wrote(tasks))


def _lines(title: str, lines: list[str]) -> None:
    """Lines that a terminal may wrap but that are copied whole."""
    out.print(f"\n[bold]{title}[/bold]")
    for line in lines:
        out.print(f"  {line}", markup=False, soft_wrap=True)


def _log_commands(kubectl: Kubectl, tasks: list[runs.Ran]) -> list[str]:
    """How to read the log of the pod of each task."""
    found = [step_pods.of_steps(kubectl, dag=one.run.dag_id, run=one.run.run_id, task=one.task_id) for one in tasks]
    return [step_pods.log_command(kubectl, pods[-1]) for pods in found if pods]


@app.command()
def down(context: ContextOption = None) -> None:
    """Remove what `up` made: cluster, engine, networks, volumes; only the cache stays."""
    down_module.down(context=context)


@app.command()
def doctor() -> None:
    """Check what this machine has and lacks; exit code 1 where `up` cannot work."""
    found = doctor_module.checks()
    out.print(table.checks(found))
    if any(one.fatal and not one.ok for one in found):
        raise typer.Exit(1)


@app.command()
def status(as_json: JsonOption = False, context: ContextOption = None) -> None:
    """Show how the platform is, at a glance, and what to do about what is not well; exit code 1 where something is."""
    told = gather.answers(Kubectl(state.context(context)))
    found = findings.findings(told, now=datetime.now(UTC))
    if as_json:
        out.print_json(data=shown.document(told, found))
    else:
        out.print(shown.platform(told, found))
        out.print(shown.pipelines(told))
        _lines("What to do", shown.to_do(found) or ["nothing"])
    raise typer.Exit(0 if shown.well(found) else 1)


@app.command()
def trigger(
    dag: Annotated[str, typer.Argument(help="Pipeline, such as petrol.")],
    conf: Annotated[str, typer.Option(help="Parameters as a JSON object, such as '{\"n_estimators\": 50}'.")] = "{}",
    force: Annotated[bool, typer.Option("--force", help="Run every step, whatever the ledger has recorded.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit code 1 if it fails.")] = False,
    context: ContextOption = None,
) -> None:
    """Start a run of a pipeline and print its id."""
    parameters = _object(conf) | ({"force": True} if force else {})
    with airflow_api.airflow(Kubectl(state.context(context))) as api:
        runs.wait_known(api, dag, file=ROOT / "dags" / f"{dag}.py")
        run = runs.Run(dag, api.trigger(dag, conf=parameters))
        out.print(run.run_id, soft_wrap=True)
        if wait:
            _finish(api, run)


@app.command()
def plan(
    dag: Annotated[str, typer.Argument(help="Pipeline, such as petrol.")],
    conf: Annotated[str, typer.Option(help="Parameters as a JSON object, as for `trigger`.")] = "{}",
    as_json: JsonOption = False,
    context: ContextOption = None,
) -> None:
    """Show what a run would do with each step: RUN, SKIP or WAIT, why, and the minutes it usually takes."""
    found = plan_module.plan(Kubectl(state.context(context)), dag, conf=_object(conf))
    if as_json:
        out.print_json(data=found)
    else:
        out.print(plan_module.shown(found))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        msg = f"--conf is no JSON: {error}"
        raise Fault(msg) from error
    if not isinstance(found, dict):
        msg = f"--conf is {text!r}; want a JSON object"
        raise Fault(msg)
    return found


def _finish(api: airflow_api.Airflow, run: runs.Run) -> None:
    if runs.wait(api, [run])[run] != "success":
        raise Fault(runs.failure(api, run))
    _show(runs.ran(api, run))


@app.command()
def logs(
    dag: Annotated[str, typer.Argument(help="Pipeline, such as petrol.")],
    task: Annotated[str, typer.Argument(help="Its task, such as train_model.")],
    *,
    run: Annotated[str | None, typer.Option(help="Run id; default: the newest run.")] = None,
    attempt: Annotated[int | None, typer.Option("--try", min=1, help="Try, from 1; default: the last one.")] = None,
    index: Annotated[int, typer.Option(help="Which instance of a mapped task, from 0.")] = task_log.UNMAPPED,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the task is over.")] = False,
    context: ContextOption = None,
) -> None:
    """Print the log of a task, from its pod while that runs, else from Airflow; the step's own lines are in it."""
    wanted = task_log.Wanted(dag=dag, task=task, run=run, attempt=attempt, index=index)
    for line in task_log.lines(Kubectl(state.context(context)), wanted, follow=follow):
        out.print(line, markup=False, soft_wrap=True)


@app.command()
def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    minutes: Annotated[
        int | None,
        typer.Option(min=0, help="Minutes that a finished pod stays; default: the chart's `reconcile.keepMinutes`."),
    ] = None,
    context: ContextOption = None,
) -> None:
    """Delete the pods of tries that are over, and finished pods that nobody will read; a CronJob does it too."""
    said = reconcile_module.reconcile(Kubectl(state.context(context)), dry_run=dry_run, minutes=minutes)
    out.print(said.strip() or "nothing to delete", markup=False, soft_wrap=True)


@app.command()
def password(context: ContextOption = None) -> None:
    """Print the password of the account `admin`; nothing else ever does."""
    out.print(_account(Kubectl(state.context(context)))["password"], markup=False)


def _account(kubectl: Kubectl) -> dict[str, str]:
    return kubectl.secret(airflow_api.ADMIN_SECRET)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = table.UI_PORT,
    context: ContextOption = None,
) -> None:
    """Airflow's web page on 127.0.0.1, until Ctrl-C."""
    kubectl = Kubectl(state.context(context))
    user = f"user {_account(kubectl)['username']}; "
    pages.show(kubectl, airflow_api.SERVICE, airflow_api.PORT, local=port, note=user, out=out)


@app.command()
def mail(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = table.MAIL_PORT,
    context: ContextOption = None,
) -> None:
    """Show the mails that the development catcher has, on 127.0.0.1, until Ctrl-C."""
    pages.show(Kubectl(state.context(context)), *pages.MAIL, local=port, out=out)


@dags.command("push")
def dags_push(context: ContextOption = None) -> None:
    """Make the development git server's `dags/` equal the working tree's."""
    with progress.phase("Push the pipelines to the git server"):
        commit = push_dags(Kubectl(state.context(context)), ROOT / "dags")
    out.print(f"commit {commit}" if commit else "nothing has changed")


@ledger.callback()
def ledger_main(ctx: typer.Context, context: ContextOption = None) -> None:
    """What ran, what was skipped and why, in $TIDEGATE_LEDGER_URL or the installed release's ledger."""
    ctx.call_on_close(ledger_module.show_way(context))


@app.command("run")
def run_(
    step: Annotated[str, typer.Argument(help="Step, such as train_model; `python -m jobs` lists them.")],
    param: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="A parameter, as JSON or plain text; may be given often.")
    ] = [],  # noqa: B006 - typer's own way to say none
    data: Annotated[
        list[str], typer.Option("--input", metavar="NAME=PATH", help="An input, a path or URL; may be given often.")
    ] = [],  # noqa: B006
    output: Annotated[str, typer.Option(help="Folder or URL to write under; default: build/run/STEP.")] = "",
    logical_date: Annotated[str, typer.Option(help="The run's time in ISO 8601; default: now.")] = "",
) -> None:
    """Run one step here, without a cluster, as its pod would; prints its result."""
    asked = local.Asked(step=step, params=param, inputs=data, output=output, logical_date=logical_date)
    code, result = local.run(asked)
    if result is not None:
        out.print_json(data=result)
    raise typer.Exit(code)
