"""No control: the target branch is on its own, and no source branch is needed."""

from methods.controls import Steering


class Control:
    """Leaves the attention alone."""

    version = 1
    donors: tuple[str, ...] = ()
    empty_source = False

    def prepare(self, model, samples, null, steps, side) -> Steering:
        return Steering([{} for _ in samples])
