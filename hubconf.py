"""Entries for torch.hub: `torch.hub.load("OWNER/cmac-hub", "cmac", trust_repo=True, skip_validation=True)`."""

# What each entry needs is imported inside of it, so that torch.hub can first name what is missing.
dependencies = [
    "torch",
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
        name: "cmac-nano" (inside the repository, no download), "owner/repo" on the Hub, or a folder.
        arguments: revision, device, dtype, cache_dir, token, local_files_only; see `cmac_hub.hub.load`.

    Returns:
        a `cmac_hub.CMAC`.

    Example:
        model = torch.hub.load("OWNER/cmac-hub", "cmac", trust_repo=True, skip_validation=True)
        features = model.extract_features("dog.mp4")
    """
    from cmac_hub.model import CMAC

    return CMAC.from_pretrained(name, **arguments)


def cmac_parts(name="cmac-nano", **arguments):
    """The same network in three parts: (visual_encoder, audio_encoder, visualizer), each in eval mode.

    Args:
        name: as for `cmac`.
        arguments: as for `cmac`.

    Returns:
        a named tuple; `visualizer.render("dog.mp4", "dog_attention.mp4")` draws the attention over a video.
    """
    from cmac_hub.pretrained import load_cmac

    return load_cmac(name, **arguments)
