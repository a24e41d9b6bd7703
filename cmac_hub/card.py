"""The README.md that is written beside weights of one's own."""

CARD = """\
---
{{ card_data }}
---

# A CMAC network

Where in a video a sound comes from, and features of both streams, after
[Cross-Modal Attention Consistency](https://arxiv.org/abs/2106.06939).

```python
from cmac_hub import load_cmac

load_cmac("{{ repo_id | default('OWNER/REPOSITORY', true) }}").visualizer.render("dog.mp4", "dog_attention.mp4")
```

Say here what it was trained on, how well it does, what it is not good for, and (above, as `license`) under which terms
it may be used.
"""
"""What `save_pretrained` and `push_to_hub` write as README.md beside the weights."""
