"""FireFlow (Deng et al. 2024, arXiv 2412.07517): the midpoint rule at an evaluation a step, and values of the inversion
in the edit's first steps."""

from methods.flows.inversion import InvertAndInject
from methods.flows.solvers import Reusing, Solver


class FireFlow(InvertAndInject):
    """A step's midpoint leads to the next step's. NFE 2 (n + 1) of a distilled model.

    The inversion evaluates the velocity at a level itself in its first step alone, so that the edit's first evaluation
    has nothing to be given.

    Args:
        steps, w_s, w_t, inject, first_block, last_block, features: see `methods.flows.inversion.InvertAndInject`; the
            authors' are 8 steps of which 1 is injected, or 15 and 2.
    """

    version = 1

    def solver(self) -> type[Solver]:
        return Reusing
