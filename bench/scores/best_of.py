"""The best of several runs, image by image."""

from typing import Any

import numpy as np
import pandas as pd


def best_of(tables: list[pd.DataFrame], facts: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """For each image and metric the best value of any run; NaN only where every run has none.

    Args:
        tables: per-image scores of each run, indexed by the same ids in the same order.
        facts: metric name -> at least `higher_is_better`; other columns are left out.
    """
    found = {}
    for name, fact in facts.items():
        values = np.stack([table[name].to_numpy(np.float64) for table in tables])
        best = np.fmax if fact["higher_is_better"] else np.fmin
        found[name] = best.reduce(values)
    return pd.DataFrame(found, index=tables[0].index)
