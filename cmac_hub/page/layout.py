"""The page as it is seen."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import gradio as gr

from cmac_hub.config import Layout, Map, Scale
from cmac_hub.page.clicks import Clicks
from cmac_hub.page.curve import SCRIPT, STYLE
from cmac_hub.page.finding import SCENES, Finder
from cmac_hub.page.limits import MOST_BYTES, MOST_SECONDS
from cmac_hub.page.visits import Visits

CSS = """
.gradio-container { width: 100%; max-width: 1240px !important; margin: 0 auto !important; }
#given video, #overlay video { max-height: 380px; }
#given [aria-label^="Trim video"], #given [aria-label^="Reset video"] { display: none; }
@media (max-width: 640px) {
  #figure .image-frame { overflow-x: auto; justify-content: flex-start; }
  #figure img { min-width: 960px; }
}
"""
"""Trimming would fetch a program from elsewhere. On phones the figure is read by wiping over it."""

THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
"""Fonts of the visitor's own system: none is fetched."""

CAMERA = {"width": {"ideal": 1280}, "height": {"ideal": 720}}
"""Pixels of what is recorded: more is drawn no better, and slower."""

KEPT = 3600
"""Seconds after which files go of which nobody said that they are no longer wanted."""


def make_page(finder: Finder, root: Path, network: str) -> gr.Blocks:
    """The page with everything that can be done on it.

    Args:
        finder: has the networks that are offered.
        root: a folder of the page's own, where Gradio keeps uploads as well.
        network: the one that is chosen at first.
    """
    clicks = Clicks(finder, Visits(root))
    config = finder.visualizer(network).model.config
    with gr.Blocks(title="What makes the sound, and where?", analytics_enabled=False, delete_cache=(600, KEPT)) as page:
        found = gr.State()
        gr.Markdown(
            "# What makes the sound, and where?\n"
            f"Give a clip, up to {MOST_SECONDS:.0f} seconds and {MOST_BYTES >> 20} MB; the attention of a network "
            "is drawn over it. What you give is removed when you close the page."
        )
        with gr.Row():
            with gr.Column(min_width=300):
                clip = gr.Video(
                    label="Your clip", elem_id="given", sources=["upload", "webcam"], include_audio=True,
                    webcam_options=gr.WebcamOptions(mirror=False, constraints={"video": CAMERA}), buttons=[],
                )  # fmt: skip
                inside = gr.Markdown(elem_id="inside")
                scene = gr.Dropdown(
                    [(_named(name), name) for name in SCENES], value=None, label="Or a drawn scene", elem_id="scene"
                )
                with gr.Row():
                    networks = gr.Dropdown(
                        [(_described(name), name) for name in finder.names], value=network, label="Network",
                        min_width=230,
                    )  # fmt: skip
                    scale = gr.Radio(list(get_args(Scale)), value="absolute", label="Scale", min_width=230)
                maps = gr.Radio(list(get_args(Map)), value=config.display.default_map, label="Map")
                layout = gr.Radio(list(get_args(Layout)), value="overlay", label="Layout")
                button = gr.Button("Find the source", variant="primary", elem_id="find")
            with gr.Column(min_width=300):
                overlay = gr.Video(label="What it attends to", elem_id="overlay", interactive=False, autoplay=True)
                words = gr.Markdown(elem_id="words")
                with gr.Column(visible=False) as over_time:
                    curve = gr.HTML(css_template=STYLE, js_on_load=SCRIPT, elem_id="curve")
                    moment = gr.Slider(0, 1, label="A moment, in seconds", elem_id="moment")
        with gr.Column(visible=False) as closer:
            gr.Markdown("### Frame and spectrogram at that moment, with each of the maps")
            figure = gr.Image(show_label=False, elem_id="figure", interactive=False, buttons=["download", "fullscreen"])

        one_at_a_time = {"concurrency_id": "network", "concurrency_limit": 1}
        own = {"api_visibility": "private"}
        clip.change(clicks.look, clip, inside, show_progress="hidden", **own)
        gr.on([clip.upload, clip.stop_recording], lambda: None, None, scene, show_progress="hidden", **own)
        scene.input(clicks.choose_scene, scene, clip, show_progress_on=clip, **own)
        shown = [found, overlay, words, curve, moment, figure, over_time, closer]
        chosen = [clip, networks, maps, layout, scale]
        button.click(clicks.find, chosen, shown, show_progress_on=overlay, **one_at_a_time, **own)
        curve.click(clicks.click_curve, found, [moment, figure], show_progress_on=figure, **one_at_a_time, **own)
        moment.input(clicks.show_moment, [found, moment], figure, trigger_mode="always_last", **one_at_a_time, **own)
        page.unload(clicks.leave)
    return page


def _named(scene: str) -> str:
    source, silent = scene.split(", ")
    return f"a {source} sounds, a {silent} is silent"


def _described(network: str) -> str:
    about = {"cmac-lite": "for real videos", "cmac-nano": "small, for composed scenes"}
    return f"{network}: {about[network]}" if network in about else network
