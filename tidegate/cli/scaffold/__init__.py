"""`tidegate new step|pipeline`: every place that a new step or pipeline needs, written at once or not at all.

Layers, top down: `commands` (arguments and printing); `step` and `pipeline` (what goes where); `edits` (insertions into
files that people write), `names` (what a name may be), `checkout` (reading and writing files together).
"""
