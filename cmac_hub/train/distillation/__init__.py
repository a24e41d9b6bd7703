"""An audio encoder learns from a network that heard far more: `distill.py` is the loop, the other modules its parts."""
