"""A stand-in for Microsoft Entra, Azure Resource Manager and Azure Machine Learning, good enough for the real SDK.

Tokens for client secrets, certificates and federated tokens; workspaces that are there as soon as they are named;
computes, environments, data, models, components, code, jobs, endpoints, deployments, and the run history with a log.
Uploads go to Azurite by SAS: this answers for the storage account `<account>.blob.<suffix>` and passes on.

A job goes through the states that its tag `fake_states` lists (`Queued,Running,Failed`), else through NotStarted,
Queued, Running and Completed: one step for each time it is looked at, but for the first. Its tag `fake_error` is what
a failed one says. `fake_seconds` makes it stay in each state so long instead. A name that is taken by another
definition is refused, as Azure does. What a compute, endpoint or deployment whose tags or description hold `fake_fails`
comes to is Failed.

Not the real thing: nothing is computed, nothing is checked but what the SDK could get wrong, roles are not enforced.
"""
