"""Reads a trained model and the evidence about it; writes immutable versions and the champion's alias."""
