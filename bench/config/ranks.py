"""Processes that somebody else starts (`torchrun`, `accelerate launch`, `srun`): each is a shard of the samples and has
a GPU of its own. No torch."""

import os
from pathlib import Path
from typing import NamedTuple

from bench.config import words
from bench.errors import UserError

SOURCES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, accelerate launch
    # The step's size, not SLURM_NTASKS: a batch script is one process, however many tasks were asked for.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)


class Rank(NamedTuple):
    """One of several processes: its number, how many there are, its number on this machine."""

    index: int
    count: int
    local: int


def rank() -> Rank | None:
    """What this process is among those that were started together; None where it is alone.

    Raises:
        UserError: the variables that say so make no sense.
    """
    for names in SOURCES:
        values = [os.environ.get(name, "") for name in names]
        if not all(values):
            continue
        shown = " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        if not all(value.isdecimal() for value in values) or int(values[0]) >= int(values[1]):
            raise UserError(f"{shown}, expected whole numbers, {names[0]} below {names[1]}; unset them for one process")
        found = Rank(*map(int, values))
        return found if found.count > 1 else None
    return None


def own(argv: list[str]) -> Rank | None:
    """The rank that decides this command's shard; None where the process is alone, or the words say a shard."""
    return None if words.of_shards(argv) else rank()


def shared(argv: list[str]) -> list[str]:
    """The words of a command with the shard and the GPU of this process, if it is one of several, which is told."""
    added = []
    if found := own(argv):
        print(f"rank {found.index} of {found.count}: edits its share (shard.count=1 would edit all)", flush=True)
        added += [f"shard.index={found.index}", f"shard.count={found.count}"]
    asked = [typed.partition("=")[2] for typed in argv if words.knob(typed) == "device"]
    visible = visible_gpus()
    if (here := rank()) and len(visible) > 1 and (not asked or asked[-1] in ("auto", "cuda")):
        argv = [typed for typed in argv if words.knob(typed) != "device"]
        added.append(f"device=cuda:{here.local % len(visible)}")
    return [*argv, *added]


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES would name each NVIDIA GPU that this process may use, asked without touching them."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    return [name.strip() for name in listed.split(",") if name.strip() and name.strip() != "-1"]
