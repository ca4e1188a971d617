"""How close models' pictures are to true renders."""

import re

from scripts import sample_quality


def test_the_autoencoder_is_near_other_renders_and_a_few_steps_are_far(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("# Model card\n\n## Measured quality\n\nold\n")
    sample_quality.main(["shapes_flow", "--count", "24", "--steps", "2", "--card", str(card)])
    assert "old" not in card.read_text()
    found = re.findall(
        r"^\| ([\w` ]+) \| ([\d.]+) \| ([\d.]*) \| [\d.]+ \| ([\d.]+) \|", card.read_text(), re.MULTILINE
    )
    assert [row[0] for row in found] == ["renders of other scenes", "the autoencoder alone", "`shapes_flow`"]
    (others, others_right), (trip, trip_right), (made, _) = [(float(row[1]), float(row[3])) for row in found]
    assert trip < others / 5
    assert made > 10 * trip
    assert trip_right == 100 > others_right
    assert 5 < float(found[2][2]) < 60
