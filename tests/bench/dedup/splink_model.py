"""Splink 5 on DuckDB with settings like those of its own tutorials: u by sampling, m by EM, then predictions.

Reads: cleaned people. Writes: seconds of the prediction alone, and scored pairs. Again: the same (seeded).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobs.dedup_people.clean import Person

logging.getLogger("splink").setLevel(logging.ERROR)

BLOCKS = (("zip", "last"), ("zip", "first"), ("house", "street"), ("first", "last", "city"), ("zip", "house"))


LOOSE = (("zip",), ("street",), ("unit",), ("last", "first"), ("last", "city"), ("first", "city"), ("house", "city"))
"""For a few thousand records: finds nearly every pair of FEBRL, and would never end on a million."""


def settings(link_type: str, blocks: tuple[tuple[str, ...], ...]) -> SettingsCreator:
    return SettingsCreator(
        link_type=link_type,
        unique_id_column_name="id",
        comparisons=[
            cl.ForenameSurnameComparison("first", "last"),
            cl.JaroWinklerAtThresholds("street", [0.92, 0.8]),
            cl.DamerauLevenshteinAtThresholds("house", [1]),
            cl.ExactMatch("unit"),
            cl.JaroWinklerAtThresholds("city", [0.92, 0.8]),
            cl.ExactMatch("state"),
            cl.DamerauLevenshteinAtThresholds("zip", [1, 2]),
        ],
        blocking_rules_to_generate_predictions=[block_on(*block) for block in blocks],
    )


def frame(people: Sequence[Person]) -> pd.DataFrame:
    """Missing is null, as Splink wants it."""
    return with_ids(pd.DataFrame(people))


def with_ids(table: pd.DataFrame) -> pd.DataFrame:
    """The row's number as its id."""
    return table.replace("", None).assign(id=range(len(table)))


def predict(
    fresh: pd.DataFrame,
    stored: pd.DataFrame | None = None,
    *,
    blocks: tuple[tuple[str, ...], ...] = BLOCKS,
    now: Callable[[], tuple[float, float]] = lambda: (time.perf_counter(), time.process_time()),
) -> tuple[float, float, list[tuple[int, int, float]]]:
    """Seconds, seconds of CPU, and links between `fresh` and `stored`, or within `fresh`."""
    base = DuckDBAPI(duckdb.connect(":memory:"))
    names = ["a_fresh"] if stored is None else ["a_fresh", "b_stored"]
    tables = [
        base.register(with_ids(each), dataset_display_name=name)
        for each, name in zip([fresh, stored], names, strict=False)
    ]
    linker = Linker(tables if stored is not None else tables[0],
                    settings("dedupe_only" if stored is None else "link_only", blocks))  # fmt: skip
    _train(linker)
    start = now()
    found = linker.inference.predict(threshold_match_weight=-7).as_pandas_dataframe()
    end = now()
    pairs = zip(found.id_l.astype(int).tolist(), found.id_r.astype(int).tolist(),
                found.match_weight.astype(float).tolist(), strict=True)  # fmt: skip
    return end[0] - start[0], end[1] - start[1], list(pairs)


def _train(linker: Linker) -> None:
    training = linker.training
    rule = block_on("first", "last", "zip")
    training.estimate_probability_two_random_records_match([rule], recall=0.6)
    training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    training.estimate_parameters_using_expectation_maximisation(block_on("first", "last"))
    training.estimate_parameters_using_expectation_maximisation(block_on("street", "house"))
