"""Folders of Stable Diffusion 1, XL and 3 and of FLUX in diffusers' format, tiny and with random weights."""

import json
import shutil

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from tests.helpers.models import SHIPPED

_WORDS = ("a", "of", "the", "on", "in", "red", "blue", "green", "cat", "dog", "house", "river", "seven", "things")


def sd_folder(folder):
    """Stable Diffusion 1's four levels and places of attention."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        down, up = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
        widths = {"block_out_channels": (4, 4, 8, 8), "cross_attention_dim": 8, "norm_num_groups": 2}
        places = {"down_block_types": down, "up_block_types": up, "attention_head_dim": 2}
        unet = UNet2DConditionModel(sample_size=8, **widths, **places)
        _save(unet, folder / "unet")
        _vae(folder, 4, {"scaling_factor": 0.18215})
        _clip(folder, "", 8, False)
    shutil.copytree(SHIPPED / "scheduler", folder / "scheduler")
    return _index(folder, "StableDiffusionPipeline", {"unet": unet}, {})


def sdxl_folder(folder, **config):
    """Two resolutions with a transformer block each."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=(1, 2),
            norm_num_groups=4,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=4 * 6 + 20,
            use_linear_projection=True,
        )
        _save(unet, folder / "unet")
        _vae(folder, 4, {"scaling_factor": 0.13025})
        _clip(folder, "", 8, False)
        _clip(folder, "_2", 16, True)
    shutil.copytree(SHIPPED / "scheduler", folder / "scheduler")
    return _index(folder, "StableDiffusionXLPipeline", {"unet": unet}, config)


def sd3_folder(folder, t5=True, **config):
    """Two joint blocks, the first of which has a second attention of the picture to itself."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        transformer = SD3Transformer2DModel(
            sample_size=8,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=16,
            pooled_projection_dim=40,
            pos_embed_max_size=8,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        )
        _save(transformer, folder / "transformer")
        _vae(folder, 16, {"scaling_factor": 1.5305, "shift_factor": 0.0609})
        _clip(folder, "", 8, True)
        _clip(folder, "_2", 16, True)
        if t5:
            _t5(folder, "_3")
    _scheduler(folder, shift=3.0)
    more = {} if t5 else {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}
    return _index(folder, "StableDiffusion3Pipeline", {"transformer": transformer}, config | more)


def flux_folder(folder, guidance=True, **config):
    """One double and two single blocks; without guidance, schnell."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        transformer = FluxTransformer2DModel(
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=8,
            axes_dims_rope=(2, 2, 4),
            guidance_embeds=guidance,
        )
        _save(transformer, folder / "transformer")
        _vae(folder, 16, {"scaling_factor": 0.3611, "shift_factor": 0.1159})
        _clip(folder, "", 8, False)
        _t5(folder, "_2")
    shift = {"base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096, "shift": 3.0}
    _scheduler(folder, **(shift | {"use_dynamic_shifting": True} if guidance else {"shift": 1.0}))
    return _index(folder, "FluxPipeline", {"transformer": transformer}, config)


def made_for(folder, pipeline, **config):
    """The same folder, said to be made for another pipeline."""
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": pipeline, **config}))
    return folder


def sharded(folder, part):
    """The same weights of a part in several files."""
    (file,) = (folder / part).glob("*.safetensors")
    kind = {"transformer": (SD3Transformer2DModel, FluxTransformer2DModel)}[part]
    name = json.loads((folder / part / "config.json").read_text())["_class_name"]
    network = next(one for one in kind if one.__name__ == name).from_pretrained(folder / part)
    file.unlink()
    network.save_pretrained(folder / part, max_shard_size="20KB")
    assert len(list((folder / part).glob("*.safetensors"))) > 1
    return folder


def _save(network, folder):
    """Weights that do something: as they are made, some parts of a transformer are 0, and norms are 1."""
    for parameter in network.parameters():
        spread = parameter.shape[1:].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data = torch.randn_like(parameter) * spread + (parameter.ndim == 1)
    network.save_pretrained(folder)


def _vae(folder, channels, config):
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        norm_num_groups=2,
        latent_channels=channels,
        use_quant_conv=channels == 4,
        use_post_quant_conv=channels == 4,
        **config,
    )
    vae.save_pretrained(folder / "vae")


def _clip(folder, number, width, projected):
    words = json.loads((SHIPPED / "text_encoder/config.json").read_text())
    ids = {key: words[key] for key in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPTextConfig(**ids, **sizes, projection_dim=20, max_position_embeddings=77)
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    kind(config).save_pretrained(folder / f"text_encoder{number}")
    shutil.copytree(SHIPPED / "tokenizer", folder / f"tokenizer{number}")
    file = folder / f"tokenizer{number}/tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 77}))


def _t5(folder, number):
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(f"▁{word}", -3.0) for word in _WORDS] + [(chr(n), -6.0) for n in range(97, 123)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    place = folder / f"tokenizer{number}"
    place.mkdir(parents=True)
    tokenizer.save(str(place / "tokenizer.json"))
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "extra_ids": 0}
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5TokenizerFast", **special}))
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=len(vocabulary), feed_forward_proj="gated-gelu", **sizes)
    T5EncoderModel(config).save_pretrained(folder / f"text_encoder{number}")


def _scheduler(folder, **config):
    (folder / "scheduler").mkdir()
    stated = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, **config}
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(stated))


def _index(folder, pipeline, denoiser, config):
    (name, network), *_ = denoiser.items()
    parts = {name: ["diffusers", type(network).__name__], "vae": ["diffusers", "AutoencoderKL"]}
    schedule = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    parts["scheduler"] = ["diffusers", schedule["_class_name"]]
    for place in sorted(folder.glob("t*_*")) + sorted(folder.glob("tokenizer")):
        file = place / "config.json"
        if place.name.startswith("text_encoder"):
            parts[place.name] = ["transformers", json.loads(file.read_text())["architectures"][0]]
        elif place.name.startswith("tokenizer"):
            kind = json.loads((place / "tokenizer_config.json").read_text())["tokenizer_class"]
            parts[place.name] = ["transformers", kind]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **parts, **config}))
    return folder
