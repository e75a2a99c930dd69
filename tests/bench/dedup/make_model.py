"""Fit the model that ships: `python -m tests.bench.dedup.make_model`.

Reads: three made populations (training seeds 101 to 103; the benchmark uses others).
Writes: jobs/dedup_people/model.json.
Again: the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import jobs.dedup_people.model as model_module
from jobs.dedup_people.fit import fit
from tests.bench.dedup.pairs import faker

if __name__ == "__main__":
    sets = [faker(101, 100_000, 8000), faker(102, 20_000, 6000), faker(103, 200_000, 6000)]
    found = np.vstack([each.levels for each in sets])
    model = fit(found, np.concatenate([each.same for each in sets]), version="usa-3")
    Path(model_module.__file__).with_name("model.json").write_text(model.to_json() + "\n")
