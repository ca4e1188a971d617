"""Records and protocols that the boxes share, and the bill of shared work. No torch at run time."""

from bench.types.codes import CodesModel, JointEncoder
from bench.types.grid import Grid, Path
from bench.types.model import AttentionHook, AttentionLayer, Condition, DiffusionModel, Geometry, Token
from bench.types.pipelines import Calls, PipelineModel
from bench.types.protocols import EditData, Method, Noise, PairMetric, SetMetric
from bench.types.records import SAMPLE, EditBatch, EditResult, EditSample, Query, ScoreBatch, Undefined

__all__ = [
    "SAMPLE",
    "AttentionHook",
    "AttentionLayer",
    "Calls",
    "CodesModel",
    "Condition",
    "DiffusionModel",
    "EditBatch",
    "EditData",
    "EditResult",
    "EditSample",
    "Geometry",
    "Grid",
    "JointEncoder",
    "Method",
    "Noise",
    "PairMetric",
    "Path",
    "PipelineModel",
    "Query",
    "ScoreBatch",
    "SetMetric",
    "Token",
    "Undefined",
]
