"""RF-Solver-Edit (Wang et al. 2024, arXiv 2411.04746): inversion and edit by the midpoint rule, with values of the
inversion in the edit's first steps."""

from methods.flows.inversion import InvertAndInject
from methods.flows.solvers import Euler, Midpoint, Solver


class RFSolver(InvertAndInject):
    """The paper's Taylor expansion is algebraically the explicit midpoint rule. NFE 4 n, by Euler 2 n, of a distilled
    model.

    Args:
        solver: `midpoint`, or `euler`: plain inversion of a flow, the "vanilla" rows of such papers.
        steps, w_s, w_t, inject, first_block, last_block, features: see `methods.flows.inversion.InvertAndInject`; the
            authors' inject is 2 to 8 of 30 steps, chosen for each picture, in the blocks from 20 on.
    """

    version = 1

    def __init__(
        self,
        steps: int,
        w_s: float = 1.0,
        w_t: float = 2.0,
        inject: int = 2,
        first_block: int = 20,
        last_block: int | None = None,
        features: str = "replace_v",
        solver: str = "midpoint",
    ):
        super().__init__(steps, w_s, w_t, inject, first_block, last_block, features)
        self.kind = solver

    def solver(self) -> type[Solver]:
        return {"midpoint": Midpoint, "euler": Euler}[self.kind]
