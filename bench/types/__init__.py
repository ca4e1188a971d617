"""Records and protocols that the boxes share, and the bill of shared work. No torch at run time."""

from bench.types.records import (
    SAMPLE,
    AttentionHook,
    AttentionLayer,
    DiffusionModel,
    EditBatch,
    EditData,
    EditResult,
    EditSample,
    Method,
    Noise,
    PairMetric,
    Query,
    ScoreBatch,
    SetMetric,
    Undefined,
)

__all__ = [
    "SAMPLE",
    "AttentionHook",
    "AttentionLayer",
    "DiffusionModel",
    "EditBatch",
    "EditData",
    "EditResult",
    "EditSample",
    "Method",
    "Noise",
    "PairMetric",
    "Query",
    "ScoreBatch",
    "SetMetric",
    "Undefined",
]
