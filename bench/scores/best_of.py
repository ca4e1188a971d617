"""Images that several runs have in common, and the best of the runs for each of them."""

import numpy as np
import pandas as pd


def aligned(tables: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The images that all tables have, by id and in the first one's order."""
    if all(table.index.equals(tables[0].index) for table in tables[1:]):
        return list(tables)  # most often, and finding out costs less than looking for each image
    common = [id_ for id_ in tables[0].index if all(id_ in table.index for table in tables[1:])]
    return [table.loc[common] for table in tables]


def best_of(tables: list[pd.DataFrame], better: dict[str, bool]) -> pd.DataFrame:
    """For each metric, and each image that all runs have, the best value of any run; NaN only where every run has none.

    Args:
        tables: per-image scores of each run, by id.
        better: metric -> whether higher is better; other columns are left out.
    """
    tables = aligned(tables)
    found = {}
    for name, higher in better.items():
        values = np.stack([table[name].to_numpy(np.float64) for table in tables])
        found[name] = (np.fmax if higher else np.fmin).reduce(values)
    return pd.DataFrame(found, index=tables[0].index)
