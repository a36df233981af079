"""Engines: token ids → vectors or scores, through torch, onnxruntime or OpenVINO; which is fastest is measured.

Reads a model folder; writes graphs and choices into the engine cache.
"""
