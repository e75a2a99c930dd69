"""A fault of azure-ai-ml that would lose a job of ours, put right while a step runs.

azure-ai-ml 1.35.2 cannot read back an automated text job that ends poor trials early: `NlpSweepSettings` hands the
policy on as the dict that came over the wire, and its reader asks that for `policy_type`. Azure has the job by then.
`test_the_sdk_still_cannot_read_a_policy_of_a_text_job` tells when this file can go.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.ai.ml.entities._job.automl.nlp import nlp_sweep_settings as sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY, READ, MODEL = "earlyTermination", "_from_rest_object", "RestEarlyTerminationPolicy"


@contextmanager
def policies_can_be_read() -> Iterator[None]:
    """Inside, a policy that is a dict is made what its reader wants; any other is left alone."""
    whole, read = sdk.NlpSweepSettings.__dict__[READ], getattr(sdk.NlpSweepSettings, READ)

    def repaired(given: Any) -> Any:  # noqa: ANN401 - the SDK's own
        policy = given.get(POLICY) if isinstance(given, dict) else None
        if isinstance(policy, dict):
            given = {**given, POLICY: vars(sdk)[MODEL]._deserialize(policy, [])}  # noqa: SLF001 - it has no other
        return read(given)

    setattr(sdk.NlpSweepSettings, READ, staticmethod(repaired))
    try:
        yield
    finally:
        setattr(sdk.NlpSweepSettings, READ, whole)
