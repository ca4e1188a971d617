"""That the measurement of the pipeline measures: on a busy machine its rows may well fail."""

import re

import pytest

from scripts import bench_pipeline

ROW = r"(ok|FAILED) +(\d+) ms a picture: work ([\d.]+) ms, .*allowed ([\d.]+) s, took ([\d.]+) s"


@pytest.fixture
def rows(capsys):
    bench_pipeline.main(["--pictures", "32", "--sleeps", "100", "0.01"])
    return [re.match(ROW, line).groups() for line in capsys.readouterr().out.splitlines() if " ms a picture: " in line]


def test_a_row_says_what_the_sleep_or_the_processor_allows(rows):
    (_, slow, _, allowed, took), (_, fast, work, bound, _) = rows
    assert (slow, fast) == ("100", "0")
    assert float(allowed) == pytest.approx(1.05 * 3.2, abs=0.06)
    assert float(took) >= 3.2
    assert float(work) > 1
    assert float(bound) == pytest.approx(1.1 * 32 * float(work) / bench_pipeline.CORES / 1000, abs=0.06)
