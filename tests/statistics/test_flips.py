import numpy as np
import pytest

from bench.statistics.flips import FLIPS, sign_flip_p


def test_random_flips_count_the_observed_one_and_so_are_never_0():
    """Of 40 groups that all differ the same way no random flip reaches the observed sum."""
    differences = np.linspace(1, 2, 40)
    groups = [str(i) for i in range(40)]
    assert sign_flip_p(differences, groups) == pytest.approx(1 / (1 + FLIPS))
    assert sign_flip_p(-differences, groups) == pytest.approx(1 / (1 + FLIPS))
    assert sign_flip_p(0 * differences, groups) == 1
