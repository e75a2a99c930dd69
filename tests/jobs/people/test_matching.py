from __future__ import annotations

import json
from itertools import count
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.dedup_people.clean import Person
from jobs.dedup_people.decide import Decision, Record, Rules, Stored, decide
from jobs.dedup_people.keys import keys
from jobs.dedup_people.model import load, probability, shipped
from jobs.dedup_people.similarity import jaro, jaro_winkler
from jobs.dedup_people.store import fingerprint
from tests.jobs.people.oracle import Outcome, one_by_one

# Few values, so that people share keys, differ by a letter, live together and lack fields.
PERSON = st.builds(
    Person,
    first=st.sampled_from(["", "ann", "anna", "anne", "bob", "robert", "lee"]),
    last=st.sampled_from(["", "lee", "leigh", "smith", "smyth", "ann"]),
    house=st.sampled_from(["", "1", "12", "21"]),
    street=st.sampled_from(["", "main st", "mian st", "oak ave"]),
    unit=st.sampled_from(["", "4", "4b"]),
    city=st.sampled_from(["", "springfield", "springfeild"]),
    state=st.sampled_from(["", "il", "mn"]),
    zip=st.sampled_from(["", "62704", "62740", "55101"]),
)
ANYBODY = st.builds(Person, *[st.text(max_size=12)] * 8)
RULES = st.builds(
    Rules,
    match_at=st.sampled_from([2.0, 5.0]),
    review_at=st.sampled_from([-5.0, 0.0, 2.0]),
    margin=st.sampled_from([0.0, 1.0, 5.0]),
    cap=st.just(300),
    unsure=st.sampled_from(["hold", "insert"]),
)


def records(people: list[Person]) -> list[Record]:
    return [Record(i, None, each, keys(each), fingerprint(each), {}) for i, each in enumerate(people, start=1)]


@given(pairs=st.lists(st.tuples(ANYBODY | PERSON, ANYBODY | PERSON), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_score_is_symmetric_and_between_0_and_1(pairs: list[tuple[Person, Person]]) -> None:
    left, right = zip(*pairs, strict=True)
    there, back = shipped().compare(left, right), shipped().compare(right, left)
    assert there.tolist() == back.tolist()
    assert all(0 <= probability(bits) <= 1 for bits in there)


@given(pairs=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_jaro_is_symmetric_and_nothing_is_like_nothing(pairs: list[tuple[str, str]]) -> None:
    left, right = zip(*pairs, strict=True)
    for measure in (jaro, jaro_winkler):
        there, back = measure(left, right), measure(right, left)
        assert there.tolist() == back.tolist()
        assert all(0 <= same <= 1 for same in there)
        assert all(same == 0 or (one and two) for one, two, same in zip(left, right, there, strict=True))


def as_outcome(decisions: list[Decision], chunk: list[Record]) -> list[Outcome]:
    """Only the chunk's own people: nothing is stored."""
    found = []
    for decision, record in zip(decisions, chunk, strict=True):
        row = record.row_no if decision.inserted else None
        if decision.kind == "match":
            row = chunk[-1 - decision.best.id].row_no
        found.append(Outcome(decision.kind, row))
    return found


@given(people=st.lists(PERSON, max_size=25), rules=RULES)
@settings(max_examples=80, deadline=None)
def test_a_chunk_is_decided_as_if_its_records_came_one_by_one(people: list[Person], rules: Rules) -> None:
    chunk = records(people)
    stored = Stored([[] for _ in chunk], {})
    assert as_outcome(decide(chunk, stored, shipped().compare, rules), chunk) == one_by_one(chunk, shipped(), rules)


def test_a_crowded_key_is_decided_the_same() -> None:
    number = count(1)
    people = [Person("ann", "lee", str(next(number)), "oak ave", "", "springfield", "il", "62704") for _ in range(120)]
    Random(1).shuffle(people)
    chunk, rules = records(people), Rules(match_at=5, review_at=-5, margin=1)
    found = decide(chunk, Stored([[] for _ in chunk], {}), shipped().compare, rules)
    assert as_outcome(found, chunk) == one_by_one(chunk, shipped(), rules)


def test_household_members_are_two_people() -> None:
    home = ("lee", "12", "main st", "", "springfield", "il", "62704")
    bits = shipped().compare([Person("ann", *home)], [Person("robert", *home)])[0]
    assert probability(bits) < 0.03


def test_swapped_names_and_a_typo_are_one_person() -> None:
    one = Person("ann", "leighton", "12", "main st", "", "springfield", "il", "62704")
    two = Person("leighton", "ann", "12", "mian st", "", "springfield", "il", "62704")
    assert probability(shipped().compare([one], [two])[0]) > 0.97


@pytest.mark.parametrize("known", [{"first": "ann"}, {"first": "ann", "last": "lee"}, {"last": "lee", "city": "troy"}])
def test_the_same_name_without_an_address_is_left_to_a_person(known: dict[str, str]) -> None:
    twice = [Person(**known)]
    assert 0.03 <= probability(shipped().compare(twice, twice)[0]) < 0.97


def test_a_missing_first_name_in_a_household_is_left_to_a_person() -> None:
    home = ("lee", "12", "main st", "", "springfield", "il", "62704")
    score = probability(shipped().compare([Person("", *home)], [Person("robert", *home)])[0])
    assert 0.03 <= score < 0.97


@pytest.mark.parametrize("change", [{"tables": {}}, {"tables": None}, {"bias": "x"}])
def test_a_model_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        load(json.dumps(json.loads(shipped().to_json()) | change))


def test_a_model_survives_being_written() -> None:
    again = load(shipped().to_json())
    assert again.version == shipped().version
    assert all(np.array_equal(again.tables[name], table) for name, table in shipped().tables.items())
