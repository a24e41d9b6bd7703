"""Evaluations, one protocol a file; `sets.py` declares what each can be run on."""
