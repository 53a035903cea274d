"""The face swap engine: pixels in, pixels out."""
