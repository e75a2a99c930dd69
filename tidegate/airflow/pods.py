"""A step's pods in Kubernetes: claim one for a try, look at it, delete it, tidy up behind it.

Never two pods of one task instance at once, and no work twice. A try takes over the pod of a try that was lost (its
worker, scheduler or triggerer died before anybody read the result), if that pod does the same and has not failed;
every other pod of the task instance that has not ended is deleted, and gone, before a new one is made.
Blocking; for use on a worker.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import tenacity
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from tidegate.airflow import identity
from tidegate.airflow.endings import ended_at, finished
from tidegate.airflow.identity import PREFIX
from tidegate.airflow.pod import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.client import CoreV1Api

    from tidegate.airflow.identity import Identity

log = logging.getLogger(__name__)

NOT_FOUND, CONFLICT = 404, 409

REFUSALS = frozenset({400, 403, NOT_FOUND, 422})
"""Answers to a new pod that a retry will not change: malformed, forbidden, no such namespace, invalid."""

COLLECTED = f"{PREFIX}collected"
"""Label of a finished pod whose result and log were read, and which may be tidied away."""

KEPT = 3
"""Finished pods kept for each task, newest first: people read their logs with kubectl."""

FORGOTTEN = timedelta(days=1)
"""So long after its end nobody will come to read a pod any more."""

GONE_WITHIN_SECONDS = GRACE_SECONDS + 60
"""How long a deleted pod may take to be gone, its grace period included."""


TRANSIENT = frozenset({429, 500, 502, 503, 504})
"""Answers of an API server that is starting, busy or behind a proxy that cannot reach it."""

PATIENCE_SECONDS = 60
"""How long the API server may be away, as while it is restarted, before a call fails."""


def _worth_asking_again(error: BaseException) -> bool:
    return isinstance(error, HTTPError) or (isinstance(error, ApiException) and error.status in TRANSIENT)


patiently = tenacity.retry(
    retry=tenacity.retry_if_exception(_worth_asking_again),
    wait=tenacity.wait_exponential(multiplier=0.5, max=10),
    stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
    before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
    reraise=True,
)
"""For calls that may be made twice: a pod made by a call whose answer was lost is found to be ours."""


class PodError(Exception):
    """Kubernetes does not let a pod be made, or one be gone; the text says why."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Pods:
    """The pods of one namespace."""

    def __init__(self, client: CoreV1Api, namespace: str, *, poll_seconds: float = 1.0) -> None:
        self._client = client
        self._namespace = namespace
        self._poll_seconds = poll_seconds

    @patiently
    def config_map(self, name: str) -> dict[str, str]:
        """Data of a ConfigMap."""
        data: dict[str, str] | None = self._client.read_namespaced_config_map(name, self._namespace).data
        return data or {}

    def claim(self, pod: Mapping[str, Any], run: Identity) -> dict[str, Any]:
        """Return the one pod for this try as it is in the cluster: made now, or found.

        Raises:
            PodError: Kubernetes refuses the pod, or a pod of another try does not go away.
        """
        name = _name(pod)
        if lost := self._take_over(pod, run):
            return lost
        if made := self._create(pod):
            return made
        found = self.find(name)
        if found and _is_of(found, run):
            log.info("attached to pod %s, which runs this try already", name)
            return found
        log.info("deleting pod %s of an earlier run of the same name", name)
        self.delete_and_wait(name)
        if made := self._create(pod):
            return made
        raise PodError(f"somebody else keeps making pod {name}; is another Airflow using namespace {self._namespace}?")

    @patiently
    def _create(self, pod: Mapping[str, Any]) -> dict[str, Any] | None:
        """The new pod, or None where one of that name exists."""
        try:
            return self._json(self._client.create_namespaced_pod(self._namespace, body=pod))
        except ApiException as error:
            if error.status == CONFLICT:
                return None
            if _worth_asking_again(error):
                raise
            raise _refused(pod, error) from error

    def _take_over(self, pod: Mapping[str, Any], run: Identity) -> dict[str, Any] | None:
        """The pod of a lost try, if one can be taken over; pods that run and cannot are deleted and gone.

        Ended ones stay: they harm nobody and their logs are read.
        """
        others = [one for one in self._list(identity.instance_labels(run)) if _name(one) != _name(pod)]
        for other in sorted(others, key=_created, reverse=True):
            if _is_of(other, run) and _does_the_same(other, pod):
                log.info("taking over pod %s of a try that was lost", _name(other))
                return other
            if not finished(other):
                log.info("deleting pod %s of another try of this task", _name(other))
                self.delete_and_wait(_name(other))
        return None

    @patiently
    def find(self, name: str) -> dict[str, Any] | None:
        """The pod as it is now, or None."""
        try:
            return self._json(self._client.read_namespaced_pod(name, self._namespace))
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None

    @patiently
    def delete(self, name: str) -> None:
        """Ask for the pod to be stopped and deleted; one that is gone already is fine."""
        try:
            self._client.delete_namespaced_pod(name, self._namespace)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise

    def delete_and_wait(self, name: str) -> None:
        """Delete the pod and return when it is gone.

        Raises:
            PodError: It still exists after its grace period and a minute.
        """
        self.delete(name)
        until = time.monotonic() + GONE_WITHIN_SECONDS
        while self.find(name):
            if time.monotonic() > until:
                raise PodError(f"pod {name} is not gone {GONE_WITHIN_SECONDS} s after it was deleted; is its node up?")
            time.sleep(self._poll_seconds)

    @patiently
    def mark_collected(self, name: str) -> None:
        """Note that the pod's result and log were read."""
        self._client.patch_namespaced_pod(name, self._namespace, body={"metadata": {"labels": {COLLECTED: "true"}}})

    def tidy(self, run: Identity) -> list[str]:
        """Delete finished pods of the same task (any run) that were read, but for the newest; returns their names."""
        ended = [pod for pod in self._list(identity.task_labels(run)) if finished(pod)]
        read = [pod for pod in ended if COLLECTED in pod["metadata"]["labels"] or _forgotten(pod)]
        names = [_name(pod) for pod in sorted(read, key=_created, reverse=True)[KEPT:]]
        for name in names:
            self.delete(name)
        return names

    @patiently
    def _list(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        found = self._client.list_namespaced_pod(self._namespace, label_selector=identity.selector(wanted))
        return [self._json(pod) for pod in found.items]

    def _json(self, pod: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's classes have no types
        plain: dict[str, Any] = self._client.api_client.sanitize_for_serialization(pod)
        return plain


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _created(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _forgotten(pod: Mapping[str, Any]) -> bool:
    at = ended_at(pod)
    return at is not None and datetime.now(UTC) - at > FORGOTTEN


def _does_the_same(other: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether the result of `other` is good for `pod`, and nobody has taken it yet."""
    unread = COLLECTED not in other["metadata"]["labels"]
    well = not finished(other) or other["status"].get("phase") == "Succeeded"
    digests = {one["metadata"]["annotations"].get(identity.WORK) for one in (other, pod)}
    return unread and well and len(digests) == 1


def _is_of(pod: Mapping[str, Any], run: Identity) -> bool:
    """Whether the pod is of this task instance, not of an earlier run with the same id, and not on its way out."""
    metadata = pod["metadata"]
    mine = metadata.get("annotations", {}).get(f"{PREFIX}ti-id") == run.ti_id
    return mine and "deletionTimestamp" not in metadata


def _refused(pod: Mapping[str, Any], error: ApiException) -> PodError:
    account = pod["spec"]["serviceAccountName"]
    said = _message(error)
    if "serviceaccount" in said and account in said:
        dag = pod["metadata"]["annotations"][f"{PREFIX}dag-id"]
        return PodError(f"no service account {account}: add pipelines.{dag} to the chart's values", permanent=True)
    permanent = error.status in REFUSALS and "exceeded quota" not in said
    return PodError(f"Kubernetes refuses pod {pod['metadata']['name']} ({error.status}): {said}", permanent=permanent)


def _message(error: ApiException) -> str:
    """The API server's own words out of its reply."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.body or error.reason)
