"""The ledger's page as a person sees it: found from the menu and from a task instance, readable, and quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver.support.select import Select

from tests.browser.story import SHOWN, TREES
from tests.browser.window import NARROW, WIDE, Window
from tidegate.page import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = f"{PREFIX[1:]}/"
TASK = f"dags/petrol/runs/{SHOWN}/tasks/train_model"
TAB = f"task?pipeline=petrol&run_id={SHOWN}&task_id=train_model"
PATHS = ("", "step/train_model", "step/fetch_weather", "row/1", TAB)
LARGEST = 200_000
"""Bytes of a picture: it lies in the repository."""
NEVER_TRIED = "/taskInstances/train_model/tries/"
"""Airflow's own page asks for the tries of a task that nothing ran: it was marked as a success."""


@pytest.fixture(autouse=True)
def quiet(window: Window) -> Iterator[None]:
    """Nothing goes wrong behind a page without a test seeing it."""
    window.resize(WIDE)
    window.complaints()
    yield
    assert [line for line in window.complaints() if NEVER_TRIED not in line] == []


def rows(window: Window) -> list[list[str]]:
    """The cells of the table of tries."""
    script = "[...document.querySelectorAll('.uses tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    return [[" ".join(cell.split()) for cell in row] for row in window.run(script)]


def test_the_menu_leads_to_what_ran_what_was_skipped_and_why(window: Window) -> None:
    window.home()
    window.until(lambda: window.find("//button[normalize-space()='Browse']"), "the menu").click()
    window.until(lambda: window.find("//a[normalize-space()='Ledger']"), "the page in the menu").click()
    with window.frame():
        found = rows(window)
        happened = [row[2] for row in found]
        assert window.texts(".figures b")[0] == str(happened.count("skipped")) != "0"
        assert {"waits", "runs", "ran", "skipped", "ran, failed try_later"} <= set(happened)
        assert any("new: params.n_estimators was 400, is 350" in row[3] for row in found)
        (skipped,) = [row for row in found if SHOWN in row[1] and "train_model" in row[1]]
        assert "used the result of row" in skipped[3]
        assert skipped[4:] == ["", "56.0 s"]
        broken = "[...document.querySelectorAll('.uses .short > *')].filter(one => one.getClientRects().length > 1)"
        assert window.run(f"{broken}.map(one => one.innerText)") == [], "a word is cut in two"
    assert window.picture("ledger").stat().st_size < LARGEST


def test_pipeline_step_and_what_happened_narrow_the_table(window: Window) -> None:
    window.open("plugin/tidegate-ledger")
    chosen = {"pipeline": "petrol", "step": "train_model", "verdict": "skipped"}
    with window.frame():
        before = len(rows(window))
        for name, text in chosen.items():
            Select(window.see(f"select[name={name}]")).select_by_visible_text(text)
        window.see("form button").click()
        window.until(lambda: window.run("location.search.length > 1"), "the narrowed page")
        found = rows(window)
        assert 0 < len(found) < before
        assert {(*row[1].split(" ")[:2], row[2]) for row in found} == {("petrol,", "train_model", "skipped")}
        kept = [Select(window.see(f"select[name={name}]")).first_selected_option.text for name in chosen]
        assert kept == list(chosen.values())
        asked = parse_qs(urlsplit(window.run("location.href")).query)
        assert asked == {"pipeline": ["petrol"], "step": ["train_model"], "verdict": ["hit"]}


def test_a_steps_metrics_are_plotted_and_a_point_leads_to_its_row(window: Window) -> None:
    window.open("plugin/tidegate-ledger")
    with window.frame():
        window.until(lambda: window.find("//a[.='train_model']"), "a link to the step").click()
        window.see("svg circle")
        names = window.texts("figcaption b")
        assert names == ["mae", "mse", "r2", "rmse"]
        inside = """[...document.querySelectorAll('figure')].map(f => {
            const box = f.querySelector('svg').getBoundingClientRect()
            return [...f.querySelectorAll('circle')].map(c => c.getBoundingClientRect()).filter(c =>
                c.width > 2 && c.left >= box.left && c.right <= box.right && c.top >= box.top && c.bottom <= box.bottom
            ).length})"""
        assert window.run(inside) == [len(TREES)] * len(names)
        line = window.see("polyline").rect
        assert min(line["width"], line["height"]) > 50
    assert window.picture("ledger_step").stat().st_size < LARGEST
    with window.frame():
        window.all("svg circle")[0].click()
        window.until(lambda: window.find("//h1[starts-with(normalize-space(), 'Row ')]"), "the row's page")
        said = window.see_text()
        assert "100 trees on 48 rows" in said
        assert "171.7 MiB" in said


def test_a_task_instance_has_its_row_in_a_tab(window: Window) -> None:
    window.open(TASK)
    window.until(
        lambda: window.find("//a[normalize-space()='Ledger' and contains(@href, '/plugin/')]"), "the tab"
    ).click()
    with window.frame():
        (row,) = window.until(lambda: rows(window), "the row")
        assert row[1:3] == [f"petrol, train_model {SHOWN}", "skipped"]
    assert window.picture("ledger_task").stat().st_size < LARGEST


def test_a_task_instance_links_to_its_row(window: Window) -> None:
    window.open(f"{TASK}/details")
    link = window.until(lambda: window.find("//a[normalize-space()='Tries in the ledger']"), "the link")
    link.click()
    window.until(lambda: PAGE in window.driver.current_url, "the ledger's page")
    (row,) = rows(window)
    assert row[1].endswith(SHOWN)
    window.until(lambda: window.find("//td[@class='why']/a"), "the row's link").click()
    assert "metric r2" in window.see_text()


@pytest.mark.parametrize("path", PATHS)
def test_a_telephone_shows_all_of_it_without_scrolling_aside(window: Window, path: str) -> None:
    window.resize(NARROW)
    window.open(f"{PAGE}{path}")
    assert window.all("h1")
    assert window.run("document.documentElement.scrollWidth") == NARROW[0]
    if not path:
        assert window.picture("ledger_narrow").stat().st_size < LARGEST


def test_the_page_is_dark_where_airflow_is(window: Window) -> None:
    """Airflow's pages, and the ledger's, keep the theme in the same place: that of their origin."""
    shades = []
    window.open(PAGE)
    try:
        for theme in ("light", "dark"):
            window.run("localStorage.setItem('theme', arguments[0])", theme)
            window.open("plugin/tidegate-ledger")
            with window.frame():
                shades.append(window.run("getComputedStyle(document.body).backgroundColor"))
    finally:
        window.run("localStorage.removeItem('theme')")
    assert shades == ["rgb(255, 255, 255)", "rgb(18, 23, 28)"]
