"""Evaluations, one protocol a file."""
