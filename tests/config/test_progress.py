"""One line of how far a command is, on a terminal alone."""

import io
import re
import sys

import pytest

from bench import run, score
from bench.config import progress
from bench.config.progress import Count
from bench.report.__main__ import main as report
from bench.reproduce.__main__ import main as reproduce


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes stderr a terminal, and gives what it has shown of lines since it was last asked."""

    def made():
        monkeypatch.setattr(progress, "EVERY", 0)
        monkeypatch.setattr(sys, "stderr", stream := Terminal())
        return shown(stream)

    def shown(stream):
        def states():
            text = stream.getvalue()
            stream.seek(0)
            stream.truncate()
            return [state for state in text.replace("\n", "\r").split("\r") if "%|" in state]

        return states

    return made


def counts(states, doing):
    """(runs, of, pictures, of) of each state of a line that differs from others."""
    form = re.compile(rf"{doing} runs? ([\d-]+) of (\d+) .*\| (\d+) of (\d+) \w+, ")
    found = [form.search(state) for state in states if state.startswith(doing)]
    return list(dict.fromkeys((match[1], *map(int, match.groups()[1:])) for match in found))


def go(out, *words):
    return run.main([f"out={out}", "metrics=pixel", "batch_size=1", *words])


def test_a_resumed_sweep_is_one_line_in_which_the_journals_count_as_done(tmp_path, terminal):
    states = terminal()
    assert go(tmp_path, "method=copy", "limit=3") == 0
    assert counts(states(), "editing")[0] == ("1", 1, 0, 3)
    states()
    assert go(tmp_path, "limit=3", "-m", "method=copy,retrieve") == 0
    shown = states()
    assert counts(shown, "editing") == [("2", 2, 3, 6), ("2", 2, 4, 6), ("2", 2, 5, 6), ("2", 2, 6, 6)]
    assert counts(shown, "scoring")[0] == ("2", 2, 3, 6)
    assert counts(shown, "scoring")[-1] == ("2", 2, 6, 6)
    assert go(tmp_path, "limit=3", "-m", "method=copy,retrieve") == 0
    assert not states()  # nothing was left to do


def test_jobs_and_lists_are_parts_of_the_sweep(tmp_path, terminal):
    states = terminal()
    words = ["method=diffedit", "steps=2", "method.n=1", "r=[0.5,0.8]", "limit=2"]
    assert go(tmp_path, *words, "-m", "seed=1,2") == 0
    found = states()
    assert [one for one in counts(found, "editing") if one[2] % 4 == 0] == [
        ("1-2", 4, 0, 8),
        ("1-2", 4, 4, 8),
        ("3-4", 4, 4, 8),
        ("3-4", 4, 8, 8),
    ]
    assert counts(found, "scoring") == [(str(i), 4, 2 * i - end, 8) for i in (1, 2, 3, 4) for end in (2, 0)]


def test_scoring_and_the_page_are_one_line_each(tmp_path, terminal, capsys):
    states = terminal()
    assert go(tmp_path, "limit=3", "-m", "method=copy,retrieve") == 0
    states()
    assert score.main(["run=*", f"out={tmp_path}", "metrics=shapes"]) == 0
    found = counts(states(), "scoring")
    assert (found[0], found[-1]) == (("1", 2, 0, 6), ("2", 2, 6, 6))
    capsys.readouterr()
    assert report([f"out={tmp_path}"]) == 0
    form = re.compile(r"page, (.*): +\d+%\|.*\| (\d+) of (\d+) (\w+)s, ")
    shown = [form.match(state).groups() for state in states()]
    assert list(dict.fromkeys(what for what, *_ in shown)) == [
        "1 of 3: runs compared",
        "2 of 3: sources",
        "3 of 3: edits and masks",
    ]
    assert {what: int(total) for what, _, total, _ in shown} == {
        "1 of 3: runs compared": 2,  # by each of two profiles
        "2 of 3: sources": 3,
        "3 of 3: edits and masks": 6,
    }
    assert "%|" not in capsys.readouterr().out


def test_items_are_one_line_and_pictures_without_scores_are_not_waited_for(tmp_path, terminal):
    states = terminal()
    words = [f"out={tmp_path}", "limit=2", "steps=2", "method.n=1", "metrics=pixel", "page=false"]
    assert reproduce(["shapes/operator", "shapes/masks", *words]) in (0, 2)
    shown = states()
    edits, scores = (counts(shown, doing) for doing in ("editing", "scoring"))
    assert {runs for _, runs, *_ in edits} == {4}
    assert {runs for _, runs, *_ in scores} == {2}
    for found in (edits, scores):
        assert len({total for *_, total in found}) == 1
        assert found[-1][2] == found[-1][3]


def test_the_rate_is_of_what_this_process_does_in_its_time(monkeypatch, terminal):
    states = terminal()
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    looks = {"a": Count(90, 0), "b": Count(0, 10), "c": Count(0, 30)}
    with progress.whole(editing=lambda: looks):
        for key, count in (("b", 10), ("c", 5)):
            with progress.at_work("editing", key, {key: Count(0, looks[key].left)}) as step:
                now[0] += 2.0 * count
                step(key, count)
            now[0] += 1000  # something else
    assert "105 of 130 images, 00:50 left,  2.00s/image" in states()[-1]


def test_what_was_given_up_is_not_waited_for(terminal):
    states = terminal()
    with progress.whole(scoring=lambda: {"a": Count(0, 10), "b": Count(0, 10), "c": Count(0, 10)}):
        with progress.at_work("scoring", "a", {"a": Count(0, 10)}) as step:
            step("a", 4)
        progress.passed("scoring", "b")
        with progress.at_work("scoring", "c", {"c": Count(0, 10)}):
            pass
    assert counts(states(), "scoring")[-1] == ("3", 3, 4, 14)


def test_no_terminal_is_told_nothing_and_nothing_is_looked_for(tmp_path, capsys):
    def look():
        raise AssertionError

    with progress.whole(editing=look), progress.at_work("editing", "a", {"a": Count(0, 1)}) as step:
        step("a", 1)
    assert capsys.readouterr() == ("", "")
