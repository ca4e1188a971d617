"""What the user types after `python -m bench.reproduce`, and what is said when it cannot be done."""

import pandas as pd
import pytest

from bench.reproduce import items
from bench.reproduce.__main__ import main


def test_later_words_of_a_knob_win_and_the_smallest_limit():
    assert items.merged(["data=pie", "limit=8"], ["limit=32"], ["data=shapes", "seed=1"]) == [
        *("data=shapes", "limit=8", "seed=1")
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shapes/tradeof"], "did you mean shapes/tradeoff"),
        ([], "expected an item"),
        (["shapes/tradeoff", "--dryrun"], "unknown flag --dryrun"),
        (["shapes/tradeoff", "method=sdedit"], "method is what shapes/tradeoff compares"),
        (["shapes/thresholds", "method.threshold=0.4"], "method.threshold is what shapes/thresholds compares"),
        (["shapes/tradeoff", "limt=3"], "unknown knob 'limt'; did you mean limit"),
        (["shapes/tradeoff", "run=maybe"], "run=maybe, expected true or false"),
    ],
)
def test_bad_words_get_a_sentence(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_an_item_whose_data_is_absent_says_what_to_get_and_shows_what_is_published(tmp_path, capsys):
    words = ["siminversion/table5", f"data.root={tmp_path / 'nowhere'}", f"out={tmp_path}", "page=false"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "missing: " in said.err
    assert "mapping_file.json" in said.err
    assert "25.18" in said.out
    found = pd.read_csv(tmp_path / "tables/siminversion/table5.csv")
    assert set(found[found.published.notna()].verdict) == {"not run"}
    assert len(found[found.published.notna()]) == 21


def test_the_page_takes_items_of_every_kind(tmp_path):
    words = ["limit=2", "steps=4", f"out={tmp_path}"]
    assert main(["shapes/queries", "shapes/best_scale", "page=false", *words]) == 0
    assert main(["shapes/thresholds", "r=0.5", *words]) == 0
    shown = (tmp_path / "report/data.js").read_text()
    assert all(f'"title":"shapes/{name}: ' in shown for name in ("queries", "best_scale", "thresholds"))
