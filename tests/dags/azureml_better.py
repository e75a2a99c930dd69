"""What our inventory of airflow-provider-azure-machinelearning asks for beyond parity, and the tests that show it here.

`BETTER` is its section 3, `DEFECTS` its section 1.7; what the original could do stands in `azureml_parity`.
"""

from __future__ import annotations

from tests.dags.azureml_parity import (
    ACTIONS,
    ARTIFACTS,
    ASSETS,
    CANCEL,
    CLUSTER,
    COMPUTES,
    CONNECTION,
    END_TO_END,
    ENDPOINTS,
    IDENTITIES,
    INVOCATIONS,
    JOBS,
    KILL,
    OPERATORS,
    RUNS,
    SIGN_IN,
    SPEC,
    WAITING_TESTS,
)

BETTER: dict[str, tuple[str, ...]] = {
    "parity: every verb against the stand-in": (
        ACTIONS,
        RUNS,
        f"{SIGN_IN}::test_ping_signs_in_and_looks_at_the_workspace",
    ),
    "specs: the SDK's YAML, templated by Airflow": (
        f"{OPERATORS}::test_airflows_templates_are_rendered_and_azures_left_alone",
        f"{SPEC}::test_values_are_laid_over_a_specification_and_keep_their_types",
        f"{SPEC}::test_code_comes_from_a_store_as_a_folder_or_an_archive",
    ),
    "identity order": (
        f"{IDENTITIES}::test_a_workload_identity_comes_first_and_no_secret_is_sent",
        f"{IDENTITIES}::test_a_managed_identity_that_is_named_comes_before_a_certificate_and_a_secret",
        f"{IDENTITIES}::test_a_managed_identity_is_what_is_left_and_sends_no_secret",
        f"{IDENTITIES}::test_a_certificate_signs_in_by_an_assertion",
        f"{OPERATORS}::test_the_secret_reaches_the_program_and_nothing_else",
    ),
    "connection": (
        f"{CONNECTION}::test_short_and_long_keys_are_read",
        f"{CONNECTION}::test_airflow_shows_the_form_without_flask_appbuilders_widgets",
        f"{END_TO_END}::test_the_test_button_reads_the_workspace",
        f"{CONNECTION}::test_what_a_pod_gets",
    ),
    "idempotency": (
        f"{JOBS}::test_two_executions_make_one_job",
        f"{JOBS}::test_an_execution_beside_a_running_one_attaches_to_its_job",
        f"{JOBS}::test_a_failed_job_fails_the_task_with_its_text_and_the_next_try_makes_another",
        f"{JOBS}::test_accepted_then_500_or_no_answer_never_starts_a_second_job",
    ),
    "truth": (f"{JOBS}::test_no_end_but_completed_is_success",),
    "timeouts": (
        f"{JOBS}::test_a_job_that_queues_for_too_long_is_cancelled",
        f"{JOBS}::test_time_in_the_queue_does_not_count_as_time_of_running",
        f"{WAITING_TESTS}::test_a_sign_of_life_is_given_every_five_minutes_without_news",
    ),
    "cancel": (
        f"{CANCEL}::test_eviction_leaves_the_job_and_a_stop_in_airflow_cancels_it",
        f"{CLUSTER}::test_a_task_that_is_stopped_in_airflow_cancels_its_job_in_azure",
    ),
    "logs": (
        f"{JOBS}::test_the_jobs_own_log_is_printed",
        f"{WAITING_TESTS}::test_a_log_that_breaks_off_is_begun_again_until_the_job_is_over",
        f"{ARTIFACTS}::test_logs_and_named_outputs_of_a_job_are_kept",
    ),
    "deferrable": (f"{OPERATORS}::test_no_operator_needs_a_worker",),
    "XCom": (
        f"{ASSETS}::test_name_version_and_page_are_handed_on",
        f"{JOBS}::test_a_job_with_local_code_is_submitted_and_waited_for",
        f"{JOBS}::test_a_result_is_small_enough_for_a_termination_message",
    ),
    "links": (
        f"{OPERATORS}::test_the_link_is_there_before_the_end_and_after_a_failure",
        f"{ASSETS}::test_name_version_and_page_are_handed_on",
        f"{COMPUTES}::test_ensure_makes_it_once",
    ),
    "batch invoke": (
        f"{INVOCATIONS}::test_a_batch_endpoint_is_invoked_once_for_each_run",
        f"{INVOCATIONS}::test_accepted_then_500_or_no_answer_never_starts_a_second_batch_job",
    ),
    "safety": (
        f"{COMPUTES}::test_a_compute_is_not_made_because_it_cannot_be_seen",
        f"{COMPUTES}::test_delete_says_whether_there_was_something_to_delete",
        f"{SIGN_IN}::test_what_azure_refuses_is_told_apart",
    ),
    "cost": (f"{OPERATORS}::test_a_cluster_is_deleted_also_after_a_failure",),
}
"""By the need that section 3 of our inventory names, the tests that show it met."""

DEFECTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "metadata that pip refuses",
        (
            f"{CONNECTION}::test_pip_can_read_what_the_package_says_that_it_needs",
            f"{CONNECTION}::test_the_images_metadata_says_what_the_package_says",
        ),
    ),
    2: (
        "example DAGs fail to import",
        (f"{END_TO_END}::test_there_are_twelve_by_their_original_ids_paused_until_somebody_wants_them",),
    ),
    3: ("form fields vanish", (f"{CONNECTION}::test_airflow_shows_the_form_without_flask_appbuilders_widgets",)),
    4: (
        "cancel on kill raises",
        (
            f"{CANCEL}::test_eviction_leaves_the_job_and_a_stop_in_airflow_cancels_it",
            f"{KILL}::test_a_step_that_listens_is_told_that_a_person_stopped_its_task",
            f"{CLUSTER}::test_a_task_that_is_stopped_in_airflow_cancels_its_job_in_azure",
        ),
    ),
    5: ("a cancelled job is a success", (f"{JOBS}::test_no_end_but_completed_is_success",)),
    6: (
        "a retry submits again",
        (f"{JOBS}::test_two_executions_make_one_job", f"{END_TO_END}::test_a_second_try_makes_no_second_job"),
    ),
    7: (
        "a restart loses the job",
        (
            f"{JOBS}::test_an_execution_beside_a_running_one_attaches_to_its_job",
            f"{CANCEL}::test_eviction_leaves_the_job_and_a_stop_in_airflow_cancels_it",
            f"{CLUSTER}::test_an_evicted_pod_leaves_its_job_and_the_next_one_finds_it",
        ),
    ),
    8: ("get_client twice raises", (f"{CONNECTION}::test_two_clients_of_a_hook_are_one_of_the_sdks_own",)),
    9: (
        "missing extras go unnoticed",
        (f"{CONNECTION}::test_all_that_is_missing_is_told_at_once_by_the_forms_labels",),
    ),
    10: (
        "create hides what it could not see",
        (
            f"{COMPUTES}::test_a_compute_is_not_made_because_it_cannot_be_seen",
            f"{ENDPOINTS}::test_an_endpoint_is_not_made_because_it_cannot_be_seen",
        ),
    ),
    11: ("deploy hides its cause", (f"{ENDPOINTS}::test_a_deployment_that_fails_tells_its_cause",)),
    12: (
        "deleting what is not there: once this, once that",
        (
            f"{COMPUTES}::test_delete_says_whether_there_was_something_to_delete",
            f"{ENDPOINTS}::test_ensure_makes_it_once_and_delete_says_whether_it_was_there",
        ),
    ),
    13: ("a worker slot is held for hours", (f"{OPERATORS}::test_no_operator_needs_a_worker",)),
    14: (
        "the SDK is imported when a DAG is parsed",
        (
            f"{OPERATORS}::test_the_examples_are_parsed_without_the_sdk_and_cost_a_fraction_of_it",
            f"{OPERATORS}::test_airflows_image_has_no_sdk_of_azure_ml",
        ),
    ),
    15: (
        "nothing is templated",
        (
            f"{OPERATORS}::test_airflows_templates_are_rendered_and_azures_left_alone",
            f"{OPERATORS}::test_another_tasks_result_reaches_a_specification",
        ),
    ),
    16: ("versions are not returned", (f"{ASSETS}::test_name_version_and_page_are_handed_on",)),
}
"""By the number in our inventory, what was wrong, and the tests that fail where it is."""
