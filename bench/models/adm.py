"""ADM (Dhariwal and Nichol 2021): which files it is made of. The network is `bench.models.adm_unet`. No torch until it
is loaded."""

from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UserError
from bench.models.converted import ConvertedFolder

if TYPE_CHECKING:
    import torch

    from bench.models.adm_unet import PixelDiffusion


class ADM(ConvertedFolder):
    """A folder with a UNet on pixels, which predicts its variance too, and a schedule."""

    kind = "adm256"
    takes = "the official 256x256_diffusion.pt (openai/guided-diffusion)"
    offers = "variance"
    guided = False
    networks: ClassVar = {"unet": ("sample_size", "in_channels", "out_channels", "block_out_channels")}
    official: ClassVar = {"unet": {"in_channels": 3}}
    scheduler = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")

    def __init__(self, path: str):
        super().__init__(path)
        unet, betas = self.config["unet"], self.schedule["beta_schedule"]
        if (unet["in_channels"], unet["out_channels"]) != (3, 6):
            raise UserError(
                f"{self.folder}/unet takes {unet['in_channels']} and gives {unet['out_channels']} channels; expected "
                "3, and 6: noise and variance"
            )
        if betas != "linear":
            raise UserError(f"{self.folder}/scheduler has the beta_schedule {betas!r}; expected linear")

    @property
    def multiple(self) -> int:
        """What the UNet shrinks by."""
        return 2 ** (len(self.config["unet"]["block_out_channels"]) - 1)

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "PixelDiffusion":
        from bench.models.adm_unet import PixelDiffusion

        return PixelDiffusion.load(self, device, dtype)

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"words": False}
