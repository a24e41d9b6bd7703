"""The encoders and the attention maps as three ONNX files for any batch size, each compared with PyTorch.

pip install ".[onnx]"
python examples/export_to_onnx.py onnx/ --video 1280 720

visual_encoder.onnx: clips -> visual_map; audio_encoder.onnx: spectrograms -> audio_map; maps.onnx: both of these -> the
six attention maps and both embeddings. They take what `CMAC.preprocess` makes of videos of that shape.
"""

import argparse
from pathlib import Path

import onnxruntime
import torch

from cmac_hub import CMAC
from cmac_hub.outputs import Attention
from cmac_hub.windows import fit_size


class Maps(torch.nn.ModuleList):
    def forward(self, visual_map, audio_map):
        embedded = self[0].embed("visual", visual_map), self[0].embed("audio", audio_map)
        return (*self[0].attend_maps(visual_map, audio_map), *(one.embedding for one in embedded))


def export(module, inputs, outputs, name):
    """Writes one file, and prints how far it is from PyTorch for batches of other sizes than the example's."""
    batch = ({0: torch.export.Dim("batch")},) * len(inputs)
    options.output.mkdir(parents=True, exist_ok=True)
    path, example = options.output / f"{name}.onnx", tuple(inputs.values())
    how = {"input_names": list(inputs), "output_names": outputs, "opset_version": 20, "verbose": False}
    torch.onnx.export(module, example, path, dynamo=True, dynamic_shapes=batch, external_data=False, **how)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    apart = 0.0
    for size in (1, 5):
        given = [torch.randn(size, *one.shape[1:]).relu() for one in example]
        expected = module(*given)
        found = session.run(None, {name: one.numpy() for name, one in zip(inputs, given, strict=True)})
        for one, other in zip(found, expected if isinstance(expected, tuple) else [expected], strict=True):
            apart = max(apart, float((torch.from_numpy(one) - other).abs().max() / other.abs().max()))
    assert apart < 1e-4, f"{path} computes something else"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, at most {apart:.1e} of the largest value from PyTorch")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("output", type=Path)
parser.add_argument("--model", default="cmac-lite")
parser.add_argument("--video", type=int, nargs=2, default=(1280, 720), help="width and height of the videos it is for")
options = parser.parse_args()
network = CMAC.from_pretrained(options.model).requires_grad_(False)  # Not its copy for inference.
visual, audio = network.config.visual, network.config.audio
width, height = fit_size(*options.video, visual.size, visual.multiple)
clips = torch.randn(2, 3, visual.frames, height, width)
spectrograms = torch.randn(2, 1, audio.n_mels, round(network.config.window / audio.hop_seconds))
maps = {"visual_map": network.visual_encoder(clips), "audio_map": network.audio_encoder(spectrograms)}
export(network.visual_encoder, {"clips": clips}, ["visual_map"], "visual_encoder")
export(network.audio_encoder, {"spectrograms": spectrograms}, ["audio_map"], "audio_encoder")
export(Maps([network]).eval(), maps, [*Attention._fields, "visual_embedding", "audio_embedding"], "maps")
