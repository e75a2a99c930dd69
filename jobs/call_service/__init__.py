"""Calls a web service by its name, and keeps the answer.

Reads: the services that `services` of the chart's values names, by `$TIDEGATE_SERVICES`; a service's token or key from
`$SERVICE_<NAME>_TOKEN` or `$SERVICE_<NAME>_KEY`. Writes: the answer, byte for byte, as one object under the output.
Refused: a name that is not listed, an answer that is too large, one that is no JSON where JSON is promised, and being
sent to another host.
Again: by default calls again and replaces the answer where it differs; with `existing` `keep`, an answer that is there
stays, and nobody is called.
"""

from __future__ import annotations

from jobs.call_service.step import Settings, run

__all__ = ["Settings", "run"]
