"""PIE-Bench from its owners' files to a table, on the embedded model."""

import json

from bench import report, run
from tests.helpers.shared import SHARED, needs_shared

MINI = SHARED / "data/pie_layout_mini"


@needs_shared
def test_real_photographs_are_edited_by_the_embedded_model(tmp_path, capsys):
    words = ["data=pie", f"data.root={MINI}", "model=shapes", "metrics=pixel", "limit=4", "steps=2", "method.n=1"]
    assert run.main([*words, f"out={tmp_path}"]) == 0
    (folder,) = (tmp_path / "pie/diffedit").iterdir()
    assert len(list((folder / "edits").iterdir())) == 4
    facts = json.loads((folder / "summary.pixel-v1.json").read_text())
    assert (facts["n"], facts["n_expected"], facts["n_failed"]) == (4, 4, 0)
    assert facts["metrics"]["mask_iou"]["n"] == 4  # every mask was read and kept
    (environment,) = json.loads((folder / "env.json").read_text())
    assert list(environment["annotations"]) == ["pie_layout_mini/mapping_file.json"]
    assert report.main([f"out={tmp_path}"]) == 0
    assert "embedded model of a drawn world" in capsys.readouterr().out
