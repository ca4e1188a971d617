"""Folders of rectified flows (Stable Diffusion 3, FLUX): what their schedule may be. No torch."""

from pathlib import Path

from bench.errors import UserError
from bench.models.prompted_folder import PromptedFolder

PATCH = 2  # cells of the latents along a side of a token
_NUMBERS = ("shift", "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")


class FlowFolder(PromptedFolder):
    """A level is sigma, from 1 down to 0; the folder's scheduler says which are visited."""

    offers = ("denoiser", "flow")
    scheduler = ("_class_name", "num_train_timesteps")

    @property
    def multiple(self) -> int:
        return PATCH * self.factor(self.config)

    def check_schedule(self, file: Path) -> None:
        found = self.schedule
        if (name := found["_class_name"]) != "FlowMatchEulerDiscreteScheduler":
            raise UserError(f"{file} is of a {name}; expected FlowMatchEulerDiscreteScheduler")
        for key in (key for key in _NUMBERS if key in found):
            if type(found[key]) not in (int, float) or not 0 < found[key] < float("inf"):
                raise UserError(f"{file} has {key} {found[key]!r}; expected a positive number")
        if found.get("invert_sigmas") or found["num_train_timesteps"] != 1000:
            raise UserError(f"{file} numbers its levels otherwise than from 1000 down to 0; {self.again}")

    def check_steps(self, steps: int) -> None:
        """A flow is defined at every level."""
