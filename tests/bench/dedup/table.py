"""The figures of `tests.bench.dedup` as tables. Needs nothing that is measured."""

from __future__ import annotations

from typing import Any

from tests.bench.dedup import goals

HEAD = """\
1,000 new people (half of them faulty copies of somebody, a tenth other members of a household) against those stored.

| stored | method | seconds | CPU s | peak MB | precision | recall | F1 | note |
|---:|---|---:|---:|---:|---:|---:|---:|---|"""
FEBRL = """\
By names and addresses only, pairs:

| set | method | precision | recall | F1 | true pairs among candidates |
|---|---|---:|---:|---:|---:|"""
NOTES = """\
Tidegate's seconds hold everything up to the last commit: reading the file, connecting, cleaning, keys, look-up, lock,
decisions and inserts, and its CPU that of the database server too. The peers' hold matching alone, with the stored
people cleaned and in memory already and (Splink) the model trained; their threshold is the best one by the labels of
the very batches, Tidegate's is its default. Methods take turns on three batches: medians of times, quality of all three
together (3,000 new people, so one is 0.0003 of F1). F1 of Tidegate takes its best candidate at a score of 0.5 or more.
Faker people were made by this project and its model was fitted on other seeds of the same generator, which flatters it.
FEBRL: weights and threshold are fitted to the labels of FEBRL 1 and 2 (comparisons were thought of while looking at
mistakes on FEBRL 3, keys were chosen by the true pairs they find in FEBRL 3 and 4); Splink is unsupervised, with the
best threshold by the labels of FEBRL 3 and 4."""


def show(figures: dict[str, Any]) -> str:
    """Both tables, what was aimed at, and what the figures hold."""
    lines = [HEAD, *(_row(size["stored"], row) for size in figures["sizes"] for row in size["rows"])]
    lines += ["", *(line for size in figures["sizes"] for line in _ratios(size))]
    if figures["febrl"]:
        lines += ["", FEBRL, *map(_febrl, figures["febrl"])]
    lines += ["", goals.HEAD, *goals.rows(figures)]
    return "\n".join([*lines, "", NOTES])


def _row(stored: int, row: dict[str, Any]) -> str:
    quality = " | ".join(f"{row[name]:.3f}" if row.get(name) is not None else "-" for name in QUALITY)
    took = f"{row['seconds']:,.2f} | {row['cpu']:,.2f} | {row['peak_mb']:,.0f}"
    return f"| {stored:,} | {row['method']} | {took} | {quality} | {row['note']} |"


QUALITY = ("precision", "recall", "f1")


def _ratios(size: dict[str, Any]) -> list[str]:
    """How many times as long as ours each peer took."""
    ours, *peers = size["rows"]
    pull = (
        f"; reading the table out of PostgreSQL, as they must first, takes {size['pull']:.2f} s"
        if "pull" in size
        else ""
    )
    said = ", ".join(
        f"{row['method']} {row['seconds'] / ours['seconds']:,.1f} ({row['cpu'] / max(ours['cpu'], 0.01):,.1f})"
        for row in peers
    )
    return [f"- {size['stored']:,} stored, times Tidegate's seconds (CPU seconds): {said}{pull}."]


def _febrl(row: dict[str, Any]) -> str:
    among = f"{row['among']:.4f}" if "among" in row else "-"
    return (
        f"| {row['set']} | {row['method']} | {row['precision']:.4f} | {row['recall']:.4f} | {row['f1']:.4f} | {among} |"
    )
