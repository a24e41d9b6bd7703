"""The drawn sounding scene of `cmac demo`, which training reuses as one more kind of scene. It knows no model."""

from cmac_hub.demo.scene import DEMO_SEEDS, KINDS, DemoScene, make_scene
from cmac_hub.demo.sounds import envelope, synthesize
from cmac_hub.demo.things import draw_background, draw_thing

__all__ = [
    "DEMO_SEEDS",
    "KINDS",
    "DemoScene",
    "draw_background",
    "draw_thing",
    "envelope",
    "make_scene",
    "synthesize",
]
