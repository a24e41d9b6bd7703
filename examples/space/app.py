"""A Hugging Face Space: a video in, the attention over it out. Locally: pip install gradio, then python app.py."""

import tempfile
from pathlib import Path
from typing import get_args

import gradio as gr

from cmac_hub import CMACError, load_cmac
from cmac_hub.config import Layout

visualizer = load_cmac().visualizer


def localize(video: str, layout: str) -> str:
    target = Path(tempfile.mkdtemp()) / "attention.mp4"
    try:
        visualizer.render(video, target, layout=layout)
    except CMACError as error:
        raise gr.Error(str(error)) from error
    return str(target)


layouts = gr.Radio(get_args(Layout), value="panel", label="Layout")
demo = gr.Interface(localize, [gr.Video(), layouts], gr.Video(), title="What makes the sound, and where?")

if __name__ == "__main__":
    demo.launch()
