"""Sounding scenes: composed clips with known truth, what they are made of, and training pairs from them."""
