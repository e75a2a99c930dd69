"""How this machine reaches a cluster: the service account inside one, `$KUBECONFIG` and `$TIDEGATE_CONTEXT` outside."""

from __future__ import annotations

import os

from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import Configuration


async def configuration() -> Configuration:
    """Return the client settings of this machine, without a limit on open connections (one log stream a step)."""
    settings = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        kube_config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    else:
        context = os.environ.get("TIDEGATE_CONTEXT") or None
        await kube_config.load_kube_config(client_configuration=settings, context=context)
    settings.connection_pool_maxsize = 0
    return settings
