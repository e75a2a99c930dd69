"""A step's pods in Kubernetes: claim one for a try, look at it, delete it, tidy up behind it.

Never two pods of one task instance at once: before a pod is made, those of other tries are deleted and gone. A pod of
this very try is attached to, so whoever starts a try again (a worker that was killed in between) finds its pod.
Blocking; for use on a worker.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from kubernetes.client.exceptions import ApiException

from tidegate.airflow import identity
from tidegate.airflow.endings import finished
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
"""Label of a finished pod whose result and log were read: only such a pod may be tidied away."""

KEPT = 3
"""Finished pods kept for each task, newest first: people read their logs with kubectl."""

GONE_WITHIN_SECONDS = GRACE_SECONDS + 60
"""How long a deleted pod may take to be gone, its grace period included."""


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

    def config_map(self, name: str) -> dict[str, str]:
        """Data of a ConfigMap."""
        data: dict[str, str] | None = self._client.read_namespaced_config_map(name, self._namespace).data
        return data or {}

    def claim(self, pod: Mapping[str, Any], run: Identity) -> dict[str, Any]:
        """Return the one pod of this try as it is in the cluster, made now or found.

        Raises:
            PodError: Kubernetes refuses the pod, or a pod of another try does not go away.
        """
        name = pod["metadata"]["name"]
        self._end_other_tries(pod, run)
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

    def _create(self, pod: Mapping[str, Any]) -> dict[str, Any] | None:
        """The new pod, or None where one of that name exists."""
        try:
            return self._json(self._client.create_namespaced_pod(self._namespace, body=pod))
        except ApiException as error:
            if error.status == CONFLICT:
                return None
            raise _refused(pod, error) from error

    def _end_other_tries(self, pod: Mapping[str, Any], run: Identity) -> None:
        """Pods of other tries that have not ended; ended ones stay, they harm nobody and their logs are read."""
        for other in self._list(identity.instance_labels(run)):
            name = other["metadata"]["name"]
            if name != pod["metadata"]["name"] and not finished(other):
                log.info("deleting pod %s of another try of this task", name)
                self.delete_and_wait(name)

    def find(self, name: str) -> dict[str, Any] | None:
        """The pod as it is now, or None."""
        try:
            return self._json(self._client.read_namespaced_pod(name, self._namespace))
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None

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

    def mark_collected(self, name: str) -> None:
        """Note that the pod's result and log were read."""
        self._client.patch_namespaced_pod(name, self._namespace, body={"metadata": {"labels": {COLLECTED: "true"}}})

    def tidy(self, run: Identity) -> list[str]:
        """Delete finished pods of the same task (any run) that were read, but for the newest; returns their names."""
        read = [pod for pod in self._list({**identity.task_labels(run), COLLECTED: "true"}) if finished(pod)]
        read.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
        names = [pod["metadata"]["name"] for pod in read[KEPT:]]
        for name in names:
            self.delete(name)
        return names

    def _list(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        found = self._client.list_namespaced_pod(self._namespace, label_selector=identity.selector(wanted))
        return [self._json(pod) for pod in found.items]

    def _json(self, pod: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's classes have no types
        plain: dict[str, Any] = self._client.api_client.sanitize_for_serialization(pod)
        return plain


def _is_of(pod: Mapping[str, Any], run: Identity) -> bool:
    """Whether the pod is of this try, not of an earlier run with the same id, and not on its way out."""
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
