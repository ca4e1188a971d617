"""What each column of a profile computes: class, every knob with its value, defaults included, and the weights' file.

Sources: FlexIT's eval.py (256 px bilinear, LPIPS-alex x 100, means by class of its statistics file, DeiT-B 384),
DiffEdit section 4.4 (100 x cosine), PnPInversion's evaluation (region black, whole frame, x 1000, no antialiasing),
Binkowski et al. 2018 (KID), Jayasumana et al. 2024 (CMMD on CLIP ViT-L/14-336).
"""

import inspect

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from bench.config import cli
from bench.config import profile as profiles

CLIP = "openai/clip-vit-large-patch14"
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"
ALEXNET, SQUEEZENET = "alexnet-owt-7be5be79.pth", "squeezenet1_1-b8a52dc0.pth"
DINO, DEIT = "dino_vitbase8_pretrain.pth", "deit_base_distilled_patch16_384-d0272ac0.pth"
DINOV2 = "dinov2_vitl14_pretrain.pth"
JUDGE, STATISTICS = "metrics/shapes_judge", "inception_stats_256.pt"


def clip(region="frame", floor=None, network=CLIP):
    knobs = {"weights": network, "region": region, "scale": 100, "floor": floor, "prefix": "", "resize": "torchvision"}
    return "metrics.clip.ClipScore", knobs | {"open_clip": None}


def lpips(net, file, scale, region="frame"):
    knobs = {"net": net, "weights": file, "scale": scale, "region": region, "against": None}
    return "metrics.perceptual.Lpips", knobs


def psnr(region="frame", against="sources"):
    return "metrics.pixel.Psnr", {"region": region, "against": against}


def mse(region="frame"):
    return "metrics.pixel.Mse", {"region": region}


def ssim(region="frame", border=0, against="sources"):
    return "metrics.pixel.Ssim", {"region": region, "border": border, "against": against}


def structure(published):
    knobs = {"weights": DINO, "published": published, "architecture": "vit_base_patch8_224"}
    return "metrics.structure.StructureDistance", knobs


def classes(kind):
    return f"metrics.classes.{kind}", {"weights": DEIT, "architecture": "deit_base_distilled_patch16_384"}


def distance(kind, features, file, reference="sources", network=None, **knobs):
    of_features = {"weights": file} | ({"architecture": network} if network else {})
    of_features |= {name: knobs.pop(name) for name in ("open_clip",) if name in knobs}
    knobs |= {"reference": reference, "features": (f"metrics.features.{features}", of_features)}
    return f"metrics.{kind}", knobs


def judged(kind, **knobs):
    return f"metrics.shapes.{kind}", {"weights": JUDGE, **knobs}


IOU = "metrics.masks.MaskIou", {}
EXPECTED = {
    "caption": (
        {"size": None},
        {
            "clip_score": clip(),
            "fid": distance("sets.Fid", "InceptionPool", INCEPTION),
            "lpips_e2": lpips("alex", ALEXNET, 100),
        },
    ),
    "flexit": (
        {"size": 256, "resample": "bilinear"},
        {
            "lpips_e2": lpips("alex", ALEXNET, 100),
            "csfid": distance("sets.Csfid", "InceptionPool", INCEPTION, None, weights=STATISTICS, least=2),
            "sfid": distance("sets.Sfid", "InceptionPool", INCEPTION, None, weights=STATISTICS),
            "accuracy_percent": classes("Accuracy"),
            "unedited_percent": classes("Unedited"),
            "misedited_percent": classes("Misedited"),
        },
    ),
    "pie": (
        {"size": None, "jpeg": 75},
        {
            "structure_distance_e3": structure(True),
            "psnr": psnr("masked"),
            "lpips_e3": lpips("squeeze", SQUEEZENET, 1000, "masked"),
            "mse_e4": mse("masked"),
            "ssim_e2": ssim("masked", 5),
            "clip_whole": clip(floor=0),
            "clip_edited": clip("edited", 0),
        },
    ),
    "pixel": (
        {"size": None},
        {"psnr_background": psnr("background"), "psnr": psnr(), "ssim": ssim(), "mse": mse(), "mask_iou": IOU},
    ),
    "recommended": (
        {"size": None},
        {
            "clip_score": clip(),
            "psnr_background": psnr("background"),
            "ssim_background": ssim("background"),
            "lpips_background": lpips("alex", ALEXNET, 100, "background"),
            "lpips": lpips("alex", ALEXNET, 100),
            "psnr": psnr(),
            "ssim": ssim(),
            "mse": mse(),
            "structure_distance": structure(False),
            "mask_iou": IOU,
            "fid": distance("sets.Fid", "InceptionPool", INCEPTION),
            "kid": distance("mmd.Kid", "InceptionPool", INCEPTION),
            "fd_dinov2": distance("sets.Fid", "Dinov2", DINOV2, network="vit_large_patch14_dinov2"),
            "cmmd": distance("mmd.Cmmd", "ClipImage", "openai/clip-vit-large-patch14-336", open_clip=None),
        },
    ),
    "shapes": (
        {"size": None},
        {
            "edit_success": judged("EditSuccess"),
            "kept": judged("Kept"),
            "text_agreement": judged("TextAgreement"),
            "perceptual": judged("Perceptual", against="sources"),
            "perceptual_truth": judged("Perceptual", against="truths"),
            "structure": judged("StructureDistance"),
            "psnr_background": psnr("background"),
            "psnr": psnr(),
            "psnr_truth": psnr(against="truths"),
            "ssim": ssim(),
            "mse": mse(),
            "mask_iou": IOU,
            "fid": distance("sets.Fid", "JudgePool", JUDGE, "truths"),
            "csfid": distance("sets.Csfid", "JudgePool", JUDGE, "truths", weights=None, least=2),
            "sfid": distance("sets.Sfid", "JudgePool", JUDGE, "truths", weights=None),
        },
    ),
}

NEW = {
    "clip_direction": ("metrics.clip.ClipDirection", {"weights": CLIP, "resize": "torchvision", "open_clip": None}),
    "dists": ("metrics.perceptual.Dists", {"weights": "vgg16-397923af.pth"}),
}
AFTER = {"clip_score": "clip_direction", "lpips": "dists"}
EXPECTED["recommended_v1"] = EXPECTED["recommended"]
EXPECTED["recommended"] = (
    EXPECTED["recommended"][0],
    {
        one: NEW.get(one) or EXPECTED["recommended_v1"][1][one]
        for name in EXPECTED["recommended_v1"][1]
        for one in filter(None, (name, AFTER.get(name)))
    },
)
EXPECTED["truth"] = (
    {"size": None},
    {
        "psnr_truth": psnr(against="truths"),
        "ssim_truth": ssim(against="truths"),
        "psnr_background": psnr("background"),
        "ssim_background": ssim("background"),
        "mask_iou": ("metrics.masks.MaskIou", {}),
    },
)
EXPECTED["preference"] = (
    {"size": None},
    {"pickscore": clip(network="yuvalkirstain/PickScore_v1"), "psnr_background": psnr("background")},
)


def told(node, weights):
    """Class of a metric and the value of each of its knobs; weights by the name of their file."""
    given = {name: value for name, value in node.items() if name != "_target_"}
    bound = inspect.signature(get_class(node["_target_"])).bind(**given)
    bound.apply_defaults()
    knobs = {name: told(x, weights) if isinstance(x, dict) else x for name, x in bound.arguments.items()}
    if knobs.get("weights"):
        entry = weights[knobs["weights"]]
        knobs["weights"] = entry.get("hub") or entry.get("file") or entry["path"]
    return node["_target_"], knobs


@pytest.mark.parametrize("name", cli.names("metrics"))
def test_a_profile_computes_what_its_papers_do(name):
    profile = OmegaConf.to_container(cli.jobs([f"metrics={name}"])[0], resolve=True)["metrics"]
    prepared, expected = EXPECTED[name]
    columns = profiles.metrics(profile)
    assert {key: profile[key] for key in profiles.PREPARATION if key in profile} == prepared
    assert list(columns) == list(expected)  # the order of the table
    for column, node in columns.items():
        assert told(node, profile.get("weights") or {}) == expected[column], column


KINDS = sorted({target for _, columns in EXPECTED.values() for target, _ in columns.values()})
UP = {"ClipScore", "ClipDirection", "Psnr", "Ssim", "MaskIou", "Accuracy", "EditSuccess", "Kept", "TextAgreement"}


@pytest.mark.parametrize("target", KINDS)
def test_the_better_end_of_every_metric(target):
    """An arrow the wrong way round turns a ranking over."""
    assert get_class(target).higher_is_better == (target.rsplit(".", 1)[1] in UP)
