"""What airflow-provider-azure-machinelearning (361abb1) could do, and the test that shows it here.

One row for each operator, parameter and behaviour: where it stands in our inventory of the original, what it is, and
the tests. `test_azureml_parity` checks that every named test exists and that nothing of the original lacks a row.
"""

from __future__ import annotations

CONNECTION = "tests/dags/test_azureml_connection.py"
OPERATORS = "tests/dags/test_azureml_operators.py"
END_TO_END = "tests/dags/test_azureml_end_to_end.py"
PARITY_TEST = "tests/dags/test_azureml_parity.py"
CREDENTIALS = "tests/steps/test_credentials.py"
KILL = "tests/steps/test_kill.py"
CLUSTER = "tests/cluster/test_2_azureml.py"
(
    JOBS,
    ASSETS,
    COMPUTES,
    ENDPOINTS,
    INVOCATIONS,
    CANCEL,
    SIGN_IN,
    SPEC,
    IDENTITIES,
    ARTIFACTS,
    VIRTUALENV,
    WAITING_TESTS,
) = (
    f"tests/jobs/azure_ml/test_{name}.py"
    for name in (
        *("jobs", "assets", "computes", "endpoints", "invocations", "cancel", "sign_in", "spec", "identities"),
        *("artifacts", "virtualenv", "waiting"),
    )
)

ORIGINAL: dict[str, frozenset[str]] = {
    "CreateJob": frozenset({"job", "waiting"}),
    "CreateComputeResource": frozenset({"compute", "waiting"}),
    "DeleteComputeResource": frozenset({"compute_name", "waiting"}),
    "CreateEnvironment": frozenset({"environment"}),
    "CreateData": frozenset({"data_asset"}),
    "RegisterModel": frozenset({"model"}),
    "LoadAndRegisterComponent": frozenset({"source"}),
    "CreateEndpoint": frozenset({"endpoint", "waiting"}),
    "DeleteEndpoint": frozenset({"endpoint_name", "endpoint_type", "waiting"}),
    "DeployEndpoint": frozenset({"deployment", "waiting"}),
}
"""The original's ten operators, without what is before and after their names, and the parameters of each."""

WAITING = {"CreateComputeResource": True, "DeleteComputeResource": True, "CreateJob": False, "CreateEndpoint": False,
           "DeleteEndpoint": False, "DeployEndpoint": False}  # fmt: skip
"""Whether the original waits unless told otherwise."""

DAGS = (
    "AML_AutoML", "AML_CommandJob", "AML_Component", "AML_Compute", "AML_Data", "AML_Endpoint", "AML_Environment",
    "AML_ParallelJob", "AML_Pipeline", "AML_Pipeline_2Subs", "AML_PythonVirtualenv", "AML_SweepJob",
)  # fmt: skip

ACTIONS = f"{OPERATORS}::test_what_an_operator_asks_of_the_step"
RUNS = f"{END_TO_END}::test_a_pipeline_runs_to_its_end"

ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "1.2",
        "type id, display name, testable",
        (f"{CONNECTION}::test_airflow_shows_the_form_without_flask_appbuilders_widgets",),
    ),
    (
        "1.2",
        "hidden fields schema, port, host, extra",
        (f"{CONNECTION}::test_airflow_shows_the_form_without_flask_appbuilders_widgets",),
    ),
    ("1.2", "Client ID is login, Secret is password", (f"{CONNECTION}::test_short_and_long_keys_are_read",)),
    (
        "1.2",
        "Tenant ID, Subscription ID, Resource Group Name, Workspace Name in the extra",
        (f"{CONNECTION}::test_short_and_long_keys_are_read",),
    ),
    ("1.2", "all six are wanted", (f"{CONNECTION}::test_all_that_is_missing_is_told_at_once_by_the_forms_labels",)),
    ("1.2", "the Test button", (f"{END_TO_END}::test_the_test_button_reads_the_workspace",)),
    ("1.2", "service principal with client secret", (f"{SIGN_IN}::test_ping_signs_in_and_looks_at_the_workspace",)),
    (
        "1.2",
        "several connections, workspaces and subscriptions in one DAG",
        (RUNS, f"{OPERATORS}::test_each_task_has_the_workspace_of_its_own_connection"),
    ),
    ("1.3", "get_client, kept", (f"{CONNECTION}::test_two_clients_of_a_hook_are_one_of_the_sdks_own",)),
    ("1.3", "get_credentials, the 6-tuple; nothing logged", (f"{CONNECTION}::test_the_hook_gives_the_six_parts",)),
    ("1.3", "no connection named is an error", (f"{CONNECTION}::test_the_hook_without_a_connection_says_so",)),
    (
        "1.3",
        "login or password missing is an error",
        (f"{CONNECTION}::test_all_that_is_missing_is_told_at_once_by_the_forms_labels",),
    ),
    ("1.3", "get_package_signature, user agent", (f"{CONNECTION}::test_the_client_says_who_it_is",)),
    ("1.4", "conn_id, also in default_args", (f"{OPERATORS}::test_a_default_connection_may_stand_in_default_args",)),
    ("1.4", "white background, blue text", (f"{OPERATORS}::test_the_link_reaches_the_ui_without_a_worker",)),
    ("1.4", "CreateJob job", (ACTIONS, f"{JOBS}::test_every_kind_of_job_of_the_original_is_submitted")),
    ("1.4", "CreateJob waiting", (f"{JOBS}::test_a_job_with_local_code_is_submitted_and_waited_for",)),
    (
        "1.4",
        "CreateJob returns the name; job_id and job_end_point",
        (f"{JOBS}::test_a_job_with_local_code_is_submitted_and_waited_for",),
    ),
    ("1.4", "CreateJob prints the job's log while it waits", (f"{JOBS}::test_the_jobs_own_log_is_printed",)),
    ("1.4", "CreateJob cancels on kill", (f"{CANCEL}::test_eviction_leaves_the_job_and_a_stop_in_airflow_cancels_it",)),
    ("1.4", "CreateComputeResource compute: there is success, unchanged", (f"{COMPUTES}::test_ensure_makes_it_once",)),
    (
        "1.4",
        "CreateComputeResource waiting",
        (f"{COMPUTES}::test_without_waiting_it_returns_once_azure_has_accepted_it",),
    ),
    (
        "1.4",
        "DeleteComputeResource compute_name",
        (f"{COMPUTES}::test_delete_says_whether_there_was_something_to_delete",),
    ),
    ("1.4", "DeleteComputeResource waiting", (ACTIONS,)),
    ("1.4", "CreateEnvironment environment", (f"{ASSETS}::test_name_version_and_page_are_handed_on",)),
    (
        "1.4",
        "CreateData data_asset, local paths are uploaded",
        (f"{ASSETS}::test_local_files_are_uploaded_and_their_path_handed_on",),
    ),
    (
        "1.4",
        "RegisterModel model, from files or a job's outputs",
        (f"{ASSETS}::test_a_model_of_a_jobs_outputs_needs_no_upload",),
    ),
    ("1.4", "LoadAndRegisterComponent source", (f"{OPERATORS}::test_a_component_comes_from_its_files", ACTIONS)),
    (
        "1.4",
        "LoadAndRegisterComponent leaves one that is there",
        (f"{ASSETS}::test_two_executions_of_a_run_make_one_version",),
    ),
    (
        "1.4",
        "CreateEndpoint endpoint: online or batch, there is success",
        (f"{ENDPOINTS}::test_ensure_makes_it_once_and_delete_says_whether_it_was_there",),
    ),
    (
        "1.4",
        "CreateEndpoint of an unknown kind",
        (f"{ENDPOINTS}::test_the_schema_says_which_kind_and_without_it_the_parameter_must",),
    ),
    ("1.4", "CreateEndpoint waiting", (ACTIONS,)),
    (
        "1.4",
        "DeleteEndpoint endpoint_name",
        (f"{ENDPOINTS}::test_ensure_makes_it_once_and_delete_says_whether_it_was_there",),
    ),
    (
        "1.4",
        "DeleteEndpoint endpoint_type",
        (f"{OPERATORS}::test_an_unknown_kind_of_endpoint_is_refused_when_the_dag_is_parsed",),
    ),
    ("1.4", "DeleteEndpoint waiting", (ACTIONS,)),
    (
        "1.4",
        "DeployEndpoint deployment",
        (f"{INVOCATIONS}::test_a_deployment_gets_its_traffic_and_a_batch_one_becomes_the_default",),
    ),
    ("1.4", "DeployEndpoint waiting", (f"{OPERATORS}::test_traffic_without_waiting_is_refused", ACTIONS)),
    ("1.4", "polling of what takes long", (f"{COMPUTES}::test_an_outage_in_the_middle_of_an_operation_is_waited_out",)),
    ("1.4", "link: job page", (f"{OPERATORS}::test_the_link_is_there_before_the_end_and_after_a_failure",)),
    ("1.4", "link: computes", (f"{COMPUTES}::test_ensure_makes_it_once",)),
    ("1.4", "link: environments", (f"{ASSETS}::test_name_version_and_page_are_handed_on",)),
    *(("1.5", dag_id, (RUNS,)) for dag_id in DAGS),
    (
        "1.5",
        "AML_AutoML ends poor trials early, by a Bandit policy",
        (RUNS, f"{JOBS}::test_a_text_job_that_ends_poor_trials_early_is_submitted_read_back_and_found_again"),
    ),
    (
        "1.5",
        "AML_PythonVirtualenv pins the SDK's version for each task, and a matrix of two packages' versions",
        (
            RUNS,
            f"{VIRTUALENV}::test_a_step_begins_anew_in_it_with_its_signals_its_secret_and_its_result",
            f"{VIRTUALENV}::test_what_is_pinned_goes_before_the_images_packages_and_all_else_is_the_images",
        ),
    ),
    (
        "1.5",
        "original ids, tag AML, switched off at first",
        (f"{END_TO_END}::test_there_are_twelve_by_their_original_ids_paused_until_somebody_wants_them",),
    ),
)
