import pickle
import sys

import numpy as np
import pytest

from cmac_hub.errors import CMACError
from cmac_hub.media import read_audio
from cmac_hub.train.distillation.teacher import YAMNet, embed_long

SILENCE, DOG, TYPING = 494, 69, 378


@pytest.fixture(scope="module")
def yamnet(shared):
    return YAMNet(shared / "teachers" / "yamnet.tflite")


def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(CMACError, match=r"install it: pip install 'cmac-hub\[teachers\]'"):
        YAMNet(tmp_path / "yamnet.tflite")


def test_a_long_sound_is_the_mean_of_windows_that_reach_both_ends(teacher):
    rng = np.random.default_rng(0)
    for length, count in ((1000, 1), (4000, 1), (4001, 2), (6000, 2), (6001, 3), (32000, 15)):
        waveforms = rng.standard_normal((2, length)).astype(np.float32)
        teacher.asked = 0
        found = embed_long(teacher, waveforms)
        assert found.shape == (2, 8) and found.dtype == np.float32 and teacher.asked == 2 * count
        starts = [round(k * (length - 4000) / max(1, count - 1)) for k in range(count)] if length > 4000 else [0]
        filled = np.pad(waveforms, ((0, 0), (0, max(0, 4000 - length))))
        assert found == pytest.approx(np.mean([teacher.embed(filled[:, s : s + 4000]) for s in starts], 0), rel=1e-5)


@pytest.mark.extras
def test_its_embedding_is_what_its_last_layer_reads(yamnet, shared):
    """The scores it gives for sounds everybody knows are a linear map of the embedding and a sigmoid, and are right."""
    network = yamnet._network
    dense = {one["name"]: one["index"] for one in network.get_tensor_details() if "dense" in one["name"]}
    (biased,) = (index for name, index in dense.items() if name.endswith("BiasAdd"))
    (output,) = (one["index"] for one in network.get_output_details() if one["shape"].tolist() == [1, 521])
    embeddings, logits = [], []
    for file in sorted((shared / "esc50" / "audio").glob("1-*.flac"))[:60]:
        waveform = read_audio(file, yamnet.sample_rate)[None, : yamnet.samples]
        embeddings.append(yamnet.embed(waveform)[0])
        logits.append(network.get_tensor(biased)[0].copy())
        assert network.get_tensor(output)[0] == pytest.approx((1 + np.tanh(logits[-1] / 2)) / 2, abs=1e-4)
    embeddings, logits = np.array(embeddings), np.array(logits)
    assert (embeddings >= 0).all() and (embeddings == 0).mean() > 0.5
    # Sixty windows lie in at most sixty dimensions, so that any logits fit; their distances tell more.
    far = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)[np.triu_indices(60, 1)]
    scored = np.linalg.norm(logits[:, None] - logits, axis=2)[np.triu_indices(60, 1)]
    assert np.corrcoef(np.log(far), np.log(scored))[0, 1] > 0.8


@pytest.mark.extras
def test_it_knows_silence_and_is_itself_after_a_pickle(yamnet):
    silence = np.zeros((1, yamnet.samples), np.float32)
    first = yamnet.embed(silence)
    (output,) = (o["index"] for o in yamnet._network.get_output_details() if o["shape"].tolist() == [1, 521])
    assert yamnet._network.get_tensor(output)[0].argmax() == SILENCE
    assert np.array_equal(pickle.loads(pickle.dumps(yamnet)).embed(silence), first)
    assert yamnet.about()["license"] == "apache-2.0" and len(yamnet.about()["sha256"]) == 64


@pytest.mark.extras
def test_another_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(CMACError, match="there is no teacher"):
        YAMNet(tmp_path / "yamnet.tflite")
    (tmp_path / "text.tflite").write_text("no network")
    with pytest.raises(CMACError, match="is no TensorFlow Lite file"):
        YAMNet(tmp_path / "text.tflite")
