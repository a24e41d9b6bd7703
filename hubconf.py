"""Entries for torch.hub: `torch.hub.load("OWNER/cmac-hub", "cmac", trust_repo=True, skip_validation=True)`."""

from cmac_hub.hub import load_cmac as _load_cmac
from cmac_hub.hub import load_model as _load_model

dependencies = [
    "torch",
    "torchvision",
    "torchaudio",
    "huggingface_hub",
    "safetensors",
    "av",
    "PIL",
    "matplotlib",
    "numpy",
    "tqdm",
]


def cmac(name="cmac-nano", **arguments):
    """The CMAC network with trained weights, in eval mode: features, attention maps, similarity.

    Args:
        name: "cmac-nano" (inside the repository, no download), "hf-hub:owner/repo[@revision]", or a folder.
        arguments: revision, device, dtype, cache_dir, token, local_files_only; see `cmac_hub.hub.load_model`.

    Returns:
        a `cmac_hub.CMAC`.

    Example:
        model = torch.hub.load("OWNER/cmac-hub", "cmac", trust_repo=True, skip_validation=True)
        features = model.extract_features("dog.mp4")
    """
    return _load_model(name, **arguments)


def cmac_parts(name="cmac-nano", **arguments):
    """The same network in three parts: (visual_encoder, audio_encoder, visualizer), each in eval mode.

    Args:
        name: as for `cmac`.
        arguments: as for `cmac`.

    Returns:
        a named tuple; `visualizer.render("dog.mp4", "dog_attention.mp4")` draws the attention over a video.
    """
    return _load_cmac(name, **arguments)
