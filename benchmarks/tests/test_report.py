"""What is made of readings: medians, ratios, tables, targets, comparison, and the page. No server takes part."""

import json

import pytest

from benchmarks.catalogue import CASES
from benchmarks.compare import comparison, remark
from benchmarks.page import BEGIN, END, PAGE, replaced
from benchmarks.peer_list import WORKS
from benchmarks.plan import Entry
from benchmarks.reading import Reading, median_of
from benchmarks.results import Ratio, Results, Row, compare_all
from benchmarks.tables import amount, report
from benchmarks.targets import TARGETS, Target

EVENT = Entry("event-64", "event, 64 tasks", "events", postgres=True)
IDLE = Entry("idle", "one event at a time", "events", postgres=True, compares="p50")
HTTP = Entry("http", "event over HTTP", "events", postgres=True, yardstick=False, compares="latency")
SIZE = Entry("size-large", "full tables", "events", postgres=True, big=True, compares="time")
PEER = Entry("dbos-events", "DBOS: messages", "events", postgres=True, peer="dbos", against="event-64")


def results(*rows: Row) -> Results:
    compare_all(rows)
    return Results(
        made="2026-01-01 00:00 UTC",
        how={"rounds": 3, "seconds": 3.0},
        machine={"cores": 2, "processor": "one", "memory_gb": 8, "file_system": "ext4", "system": "Linux"},
        postgres={"server_version": "15", "fsync": "on"},
        versions={"python": "3.11"},
        rows=list(rows),
    )


def event_row(*rates: float, tps: float = 1000) -> Row:
    return Row(EVENT, [Reading(rate=rate, p95=5.0) for rate in rates], [tps] * len(rates))


def test_a_reading_survives_the_way_through_a_pipe():
    reading = Reading(rate=12.5, p50=1.0, beside={"plain": Reading(rate=2.5)})
    assert Reading.last_in(f"noise\n{reading.to_json()}\nmore noise") == reading


def test_a_process_that_printed_no_reading_is_told_apart():
    with pytest.raises(ValueError, match="no reading"):
        Reading.last_in("hello\n")


def test_each_number_has_its_own_median():
    found = median_of([Reading(rate=1, p50=30), Reading(rate=3, p50=10), Reading(rate=2, p50=None)])
    assert (found.rate, found.p50, found.p95) == (2, 20, None)


def test_the_rate_is_compared_with_pgbench_repetition_by_repetition():
    row = Row(EVENT, [Reading(rate=100), Reading(rate=900)], [50.0, 300.0])
    compare_all([row])
    assert row.ratios["pgbench"].repetitions == (2.0, 3.0)


def test_what_is_measured_beside_is_compared_by_the_figure_that_the_case_names():
    idle = Row(IDLE, [Reading(rate=1, p50=3.0, beside={"floor": Reading(rate=9, p50=2.0)})])
    size = Row(SIZE, [Reading(rate=100, beside={"empty": Reading(rate=125)})])
    compare_all([idle, size])
    assert idle.ratios["floor"] == Ratio((1.5,), less_is_better=True)
    assert size.ratios["empty"] == Ratio((1.25,), less_is_better=True)


def test_latencies_are_compared_in_the_middle_and_at_the_end():
    row = Row(HTTP, [Reading(rate=1, p50=3.0, p99=40.0, beside={"bare": Reading(rate=9, p50=2.0, p99=20.0)})])
    text = report(results(row))
    assert row.ratios == {"bare": Ratio((1.5,), less_is_better=True), "bare-p99": Ratio((2.0,), less_is_better=True)}
    assert "1.50 x bare handler, 2.00 x at p99 |" in text


def test_a_peer_is_compared_with_ours_of_the_same_round():
    peer = Row(PEER, [Reading(rate=10), Reading(rate=20)], [1000.0, 1000.0])
    compare_all([event_row(1000, 4000), peer])
    assert peer.ratios["detent"].repetitions == (100, 200)


def test_results_are_the_same_after_they_were_written_and_read():
    found = results(event_row(1000, 4000), Row(PEER, failed="not installed"))
    again = Results.from_json(found.to_json())
    assert again == found
    assert json.loads(found.to_json())["rows"][0]["median"]["rate"] == 2500


def test_the_report_has_a_table_of_ours_of_the_peers_and_of_what_was_asked_of_them():
    peer = Row(PEER, [Reading(rate=10, python_us=5000.4, postgres_us=1000)], [1000.0])
    text = report(results(event_row(4200), peer))
    assert "| event, 64 tasks | 4,200 events | 4.20 x |" in text
    assert "| DBOS: messages | 10 events | 0.01 x | - | - | 5,000 + 1,000 | - | 420 x (event-64) |" in text
    assert "| event, 64 tasks, by pgbench | 4.20 x | 4.00 x | 7.00 x | reached |" in text
    assert "create, 64 tasks" not in text


def test_a_peer_that_could_not_run_is_in_the_table_with_its_reason():
    text = report(results(event_row(4200), Row(PEER, failed="no wheel | for this Python")))
    assert "| DBOS: messages | failed: no wheel / for this Python |" in text
    assert "by DBOS events | - | 100 x |  | not measured |" in text


@pytest.mark.parametrize(
    ("found", "less", "verdict"),
    [
        (7.0, False, "stretch reached"),
        (4.0, False, "reached"),
        (3.9, False, "missed"),
        (None, False, "not measured"),
        (4.0, True, "stretch reached"),
        (7.1, True, "missed"),
    ],
)
def test_a_target_is_judged_in_its_own_direction(found: float | None, less: bool, verdict: str):
    least, stretch = (7, 4) if less else (4, 7)
    assert Target("", "event-64", "pgbench", least, stretch, less).verdict(found) == verdict


def test_every_target_is_of_a_case_or_of_a_peers_work():
    assert {target.row for target in TARGETS} <= {case.name for case in CASES} | {work.name for work in WORKS}


def test_a_change_is_notable_when_it_is_large_and_the_repetitions_lie_apart():
    old = Ratio((4.0, 4.2, 4.4))
    assert remark(old, Ratio((3.0, 3.1, 3.2))) == "worse"
    assert remark(old, Ratio((5.0, 5.5, 6.0))) == "better"
    assert remark(old, Ratio((3.0, 3.2, 4.1))) == ""
    assert remark(old, Ratio((3.9, 3.95, 3.99))) == ""
    assert remark(Ratio((1.0,), less_is_better=True), Ratio((1.5,), less_is_better=True)) == "worse"


def test_two_runs_are_compared_by_the_ratios_that_both_have():
    old, new = results(event_row(4000)), results(event_row(3000), Row(IDLE, [Reading(rate=1)], [1.0]))
    assert comparison(old, new).splitlines()[2:] == ["| event, 64 tasks | pgbench | 4.00 x | 3.00 x | -25% | worse |"]
    assert comparison(results(), new) == "The two runs have no ratio in common."


def test_only_what_stands_between_the_two_comments_is_replaced():
    page = f"# Title\n{BEGIN}\nold\n{END}\nbelow\n"
    once = replaced(page, "new")
    assert once == f"# Title\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"
    assert replaced(once, "new") == once


@pytest.mark.parametrize("page", ["nothing", f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}", BEGIN])
def test_a_page_without_both_comments_is_left_alone(page: str):
    with pytest.raises(ValueError, match="the page needs"):
        replaced(page, "new")


def test_the_page_of_the_documentation_has_its_comments():
    assert "figures" in replaced(PAGE.read_text("utf-8"), "figures")


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.256, "0.26 x"), (12.34, "12.3 x"), (4200.4, "4,200 x")])
def test_numbers_have_the_digits_that_mean_something(value: float | None, shown: str):
    assert amount(value, "x") == shown
