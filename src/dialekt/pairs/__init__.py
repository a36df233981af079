"""Relevance judgments in; the split, and training pairs out.

Reads the user's judgments and the corpus artefact. Writes three artefacts: judgments (`judgments.run`), split
(`split.run`) and pairs (`stage.run`).
"""
