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


def cmac(name="cmac-lite", **arguments):
    """The CMAC network with trained weights, in eval mode: features, attention maps, similarity.

    Args:
        name: "cmac-lite" or "cmac-nano" (inside the repository, no download), "owner/repo" on the Hub, or a folder.
        arguments: revision, device, dtype, cache_dir, token, local_files_only; see `cmac_hub.hub.load`.

    Returns:
        a `cmac_hub.CMAC`.

    Example:
        model = torch.hub.load("OWNER/cmac-hub", "cmac", trust_repo=True, skip_validation=True)
        features = model.extract_features("dog.mp4")
    """
    from cmac_hub.model import CMAC

    return CMAC.from_pretrained(name, **arguments)


def cmac_nano(**arguments):
    """The paper's network in small (1.3 M parameters), which taught itself from composed scenes; see `cmac`."""
    return cmac("cmac-nano", **arguments)


def cmac_lite(**arguments):
    """The network for real videos (6.7 M parameters), begun with ImageNet and taught by YAMNet; see `cmac`."""
    return cmac("cmac-lite", **arguments)


def cmac_visual_encoder(name="cmac-lite", **arguments):
    """The visual half alone, in eval mode: clips (B, 3, T, H, W), normalized -> unpooled maps (B, C, T', H', W').

    Args:
        name: as for `cmac`.
        arguments: as for `cmac`.

    Returns:
        an `nn.Module`; its `channels` is C.
    """
    return cmac(name, **arguments).encoder("visual")


def cmac_audio_encoder(name="cmac-lite", **arguments):
    """The audio half alone, in eval mode: spectrograms (B, 1, F, S), normalized -> unpooled maps (B, C, F', S').

    Args:
        name: as for `cmac`.
        arguments: as for `cmac`.

    Returns:
        an `nn.Module`; its `channels` is C.
    """
    return cmac(name, **arguments).encoder("audio")


def cmac_parts(name="cmac-lite", **arguments):
    """The same network in three parts: (visual_encoder, audio_encoder, visualizer), each in eval mode.

    Args:
        name: as for `cmac`.
        arguments: as for `cmac`.

    Returns:
        a named tuple; `visualizer.render("dog.mp4", "dog_attention.mp4")` draws the attention over a video.
    """
    from cmac_hub.pretrained import load_cmac

    return load_cmac(name, **arguments)
