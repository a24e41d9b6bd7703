"""The README.md that is written beside weights of one's own."""

CARD = """\
---
{{ card_data }}
---

# A CMAC network

Where in a video a sound comes from, and features of both streams, after
[Cross-Modal Attention Consistency](https://arxiv.org/abs/2106.06939).

```python
{% if has_maps -%}
from cmac_hub import load_cmac

load_cmac("{{ repo_id | default('OWNER/REPOSITORY', true) }}").visualizer.render("dog.mp4", "dog_attention.mp4")
{%- else -%}
from cmac_hub import CMAC

CMAC.from_pretrained("{{ repo_id | default('OWNER/REPOSITORY', true) }}").extract_features("dog.mp4")
{%- endif %}
```

Say here what it was trained on, how well it does, and what it is not good for. The license above is the one that
config.json names.
"""
"""What `save_pretrained`, `push_to_hub` and `release` write as README.md beside the weights; `has_maps` tells whether
the network has both encoders and the attention."""
