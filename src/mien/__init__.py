"""Mien: natural face swaps, without a GPU and without a download."""
