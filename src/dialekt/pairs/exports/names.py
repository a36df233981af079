"""The names of the layouts, which the command line needs before anything else is loaded."""

from enum import StrEnum


class ExportLayout(StrEnum):
    """For whom the files are."""

    AUTOTRAIN = "autotrain"
    VERTEX = "vertex"
    SENTENCE_TRANSFORMERS = "sentence-transformers"
    FLAG_EMBEDDING = "flag-embedding"
