"""Independent networks with the names and shapes of published checkpoints: torchvision's modules where theirs are built
of those, and plain functions of a state dict for AVID, whose blocks are its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import BasicBlock as ImageBlock
from torchvision.models.resnet import ResNet
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, R2Plus1dStem, VideoResNet

AVID_SHAPES = {
    "video_model.conv1.0.weight": (64, 3, 3, 7, 7),
    "video_model.conv1.1.weight": (64,),
    "video_model.conv2x.0.spt_conv1.weight": (64, 64, 1, 3, 3),
    "video_model.conv2x.1.tmp_conv2.weight": (64, 64, 3, 1, 1),
    "video_model.conv3x.0.res_conv.weight": (128, 64, 1, 1, 1),
    "video_model.conv4x.0.spt_conv1.weight": (256, 128, 1, 3, 3),
    "video_model.conv4x.0.tmp_bn1.running_mean": (256,),
    "video_model.conv5x.1.out_bn.running_var": (512,),
    "audio_model.conv1.0.weight": (64, 1, 7, 7),
    "audio_model.block1.conv1.weight": (64, 64, 3, 3),
    "audio_model.block4.conv2.weight": (512, 512, 3, 3),
    "audio_model.block4.bn2.bias": (512,),
    "video_proj.projection.0.weight": (512, 512),
    "audio_proj.projection.4.weight": (128, 512),
}
"""Of AVID-CMA, `proj_dim: [512, 512, 128]`: some of each kind."""

GDT_SHAPES = {
    "video_network.base.stem.0.weight": (45, 3, 1, 7, 7),
    "video_network.base.layer2.0.conv1.0.0.weight": (230, 64, 1, 3, 3),
    "video_network.base.layer2.0.conv2.0.0.weight": (230, 128, 1, 3, 3),
    "audio_network.base.conv1.weight": (64, 1, 7, 7),
    "audio_network.base.layer4.0.conv1.weight": (512, 256, 3, 3),
    "audio_network.base.layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "audio_network.base.fc.weight": (1000, 512),
    "mlp_v.block_forward.2.weight": (512, 512),
    "mlp_a.block_forward.8.bias": (256,),
}

XDC_SHAPES = {
    "stem.0.weight": (45, 3, 1, 7, 7),
    "layer1.0.conv1.0.0.weight": (144, 64, 1, 3, 3),
    "layer2.0.conv1.0.0.weight": (230, 64, 1, 3, 3),
    "layer2.0.conv2.0.0.weight": (288, 128, 1, 3, 3),
    "layer4.0.conv2.0.3.weight": (512, 1152, 3, 1, 1),
}


def lively(module: nn.Module) -> nn.Module:
    """With batch norms that have seen something, in eval mode."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
            nn.init.uniform_(part.running_mean, -0.3, 0.3)
            nn.init.uniform_(part.running_var, 0.3, 1.5)
    return module.eval()


class OwnMiddle(Conv2Plus1D):
    """As VMZ's: whatever the block says, the middle channels are those of this pair."""

    def __init__(self, inputs, outputs, _, stride=1, padding=1):
        super().__init__(inputs, outputs, (inputs * outputs * 27) // (inputs * 9 + 3 * outputs), stride, padding)


def video(conv=Conv2Plus1D, eps: float = 1e-5) -> nn.Module:
    network = VideoResNet(BasicBlock, [conv] * 4, [2, 2, 2, 2], R2Plus1dStem)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm3d):
            part.eps = eps
    return lively(network)


def xdc() -> nn.Module:
    return video(OwnMiddle, 1e-3)


def audio() -> nn.Module:
    network = ResNet(ImageBlock, [1, 1, 1, 1])
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return lively(network)


def trunk(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The map before pooling of either."""
    if isinstance(network, VideoResNet):
        x = network.stem(x)
    else:
        x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    return network.layer4(network.layer3(network.layer2(network.layer1(x))))


def gdt_state(video: nn.Module, audio: nn.Module) -> dict[str, torch.Tensor]:
    state = {f"video_network.base.{k}": v for k, v in video.state_dict().items() if not k.startswith("fc.")}
    state |= {f"audio_network.base.{k}": v for k, v in audio.state_dict().items()}
    for one in "va":
        state[f"mlp_{one}.block_forward.2.weight"] = torch.zeros(512, 512)
        state |= {f"mlp_{one}.block_forward.4.{k}": v for k, v in nn.BatchNorm1d(512).state_dict().items()}
        state |= {f"mlp_{one}.block_forward.8.{k}": v for k, v in nn.Linear(512, 256).state_dict().items()}
    return state


def avid_state() -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}

    def conv(name, *shape):
        state[f"{name}.weight"] = torch.randn(*shape) * (2 / torch.tensor(shape[1:]).prod()) ** 0.5

    def norm(name, channels):
        module = nn.BatchNorm2d(channels)
        lively(module)
        state.update({f"{name}.{key}": value for key, value in module.state_dict().items()})

    conv("video_model.conv1.0", 64, 3, 3, 7, 7)
    norm("video_model.conv1.1", 64)
    inputs = 64
    for stage in range(1, 5):
        outputs = 32 << stage
        for block in range(2):
            name = f"video_model.conv{stage + 1}x.{block}"
            conv(f"{name}.spt_conv1", outputs, inputs, 1, 3, 3)
            conv(f"{name}.tmp_conv1", outputs, outputs, 3, 1, 1)
            conv(f"{name}.spt_conv2", outputs, outputs, 1, 3, 3)
            conv(f"{name}.tmp_conv2", outputs, outputs, 3, 1, 1)
            for one in ("spt_bn1", "tmp_bn1", "spt_bn2", "out_bn"):
                norm(f"{name}.{one}", outputs)
            if inputs != outputs:
                conv(f"{name}.res_conv", outputs, inputs, 1, 1, 1)
            inputs = outputs
    conv("audio_model.conv1.0", 64, 1, 7, 7)
    norm("audio_model.conv1.1", 64)
    inputs = 64
    for block in range(1, 5):
        outputs = 32 << block
        conv(f"audio_model.block{block}.conv1", outputs, inputs, 3, 3)
        conv(f"audio_model.block{block}.conv2", outputs, outputs, 3, 3)
        norm(f"audio_model.block{block}.bn1", outputs)
        norm(f"audio_model.block{block}.bn2", outputs)
        inputs = outputs
    for one in ("video", "audio"):
        for layer, shape in ((0, (512, 512)), (2, (512, 512)), (4, (128, 512))):
            state[f"{one}_proj.projection.{layer}.weight"] = torch.zeros(shape)
            state[f"{one}_proj.projection.{layer}.bias"] = torch.zeros(shape[0])
    return state


def _norm(state, name, x):
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])


def avid_video(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    x = F.conv3d(x, state["video_model.conv1.0.weight"], stride=(1, 2, 2), padding=(1, 3, 3))
    x = F.max_pool3d(_norm(state, "video_model.conv1.1", x).relu(), (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage in range(1, 5):
        for block in range(2):
            name, s = f"video_model.conv{stage + 1}x.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.conv3d(x, state[f"{name}.spt_conv1.weight"], stride=(1, s, s), padding=(0, 1, 1))
            y = _norm(state, f"{name}.spt_bn1", y).relu()
            y = F.conv3d(y, state[f"{name}.tmp_conv1.weight"], stride=(s, 1, 1), padding=(1, 0, 0))
            y = _norm(state, f"{name}.tmp_bn1", y).relu()
            y = F.conv3d(y, state[f"{name}.spt_conv2.weight"], padding=(0, 1, 1))
            y = _norm(state, f"{name}.spt_bn2", y).relu()
            y = F.conv3d(y, state[f"{name}.tmp_conv2.weight"], padding=(1, 0, 0))
            if f"{name}.res_conv.weight" in state:
                x = F.conv3d(x, state[f"{name}.res_conv.weight"], stride=s)
            x = _norm(state, f"{name}.out_bn", x + y).relu()
    return x


def avid_audio(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """x: (B, 1, S, F), time before frequency."""
    x = F.conv2d(x, state["audio_model.conv1.0.weight"], stride=2, padding=3)
    x = _norm(state, "audio_model.conv1.1", x).relu()
    for block, stride in zip(range(1, 5), (2, 2, 2, 1), strict=True):
        name = f"audio_model.block{block}"
        x = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1)
        x = _norm(state, f"{name}.bn1", x).relu()
        x = F.conv2d(x, state[f"{name}.conv2.weight"], padding=1)
        x = _norm(state, f"{name}.bn2", x).relu()
    return x
