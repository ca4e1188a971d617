"""Official checkpoints, which are pickles, to folders of safetensors in diffusers' names: once, by hand."""
