"""The mathematics of diffusion: noise levels, steps, noise, guidance."""
