"""Collections of videos: what they hold, and training pairs from them."""
