"""Training and evaluation: `python -m cmac_hub.train COMMAND`.

- The loop is `pretrain.py`, top to bottom; beside it are its parts, from the recipe to the checkpoint.
- `scenes/` composes training pairs whose source is known; `videos/` takes them from videos.
- `evaluate/` measures networks, one protocol a file, with what they share in `evaluate/toolbox/`.

Imports go downward: scenes, videos and the loop's parts, then the loop, then evaluations, then ablations, release and
commands.
"""
