"""The section on the server."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section
from dialekt.config.training import Precision


class EngineName(StrEnum):
    """What computes: `auto` measures the installed ones on this machine."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    ONNX_INT8 = "onnx-int8"
    OPENVINO = "openvino"
    OPENVINO_INT8 = "openvino-int8"


class LogStyle(StrEnum):
    """How the server writes its log: for machines or for people."""

    JSON = "json"
    TEXT = "text"


class ServingConfig(Section):
    """The server: what it serves, and its limits. Limits count inputs, tokens and bytes before any work is done."""

    models: tuple[str, ...] = Field(
        default=(), description="NAME=FOLDER, a folder or a Hub name each; unset: this project's registry"
    )
    version: str = Field(default="champion", description="what a request gets that names no version")
    hostname: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for every network")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=3000, description="0 takes a free one")
    engine: EngineName = Field(default=EngineName.AUTO, description="auto: the fastest within the parity bound")
    dtype: Precision | None = Field(default=None, description="of the torch engine; unset: the fastest measured")
    max_concurrent_requests: PositiveInt = Field(
        default=512, description="inputs that may wait or be computed at a time, whatever requests they came in"
    )
    max_batch_tokens: PositiveInt = Field(default=16_384, description="most tokens, padding included, in one batch")
    max_client_batch_size: PositiveInt = Field(default=32, description="most inputs of one request on the TEI routes")
    payload_limit: PositiveInt = Field(default=2_000_000, description="most bytes of a request's body")
    auto_truncate: bool = Field(default=True, description="cut inputs that are too long, unless the request says")
    default_prompt: str | None = Field(default=None, description="before every input; not with default_prompt_name")
    default_prompt_name: str | None = Field(default=None, description="name of the prompt before every input")
    served_model_name: str | None = Field(default=None, description="unset: the project's or the folder's name")
    tokenization_workers: PositiveInt | None = Field(default=None, description="unset: one per core but one")
    deadline_seconds: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="a request that waits longer is dropped with 504; a request may ask for less"
    )
    drain_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="after SIGTERM, time for requests in flight to end"
    )
    memory_limit_gib: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="of loaded models; above it the least recently used go; unset: half the memory"
    )
    api_keys_file: Path | None = Field(default=None, description="one key a line; or API_KEY in the environment")
    cors_allow_origins: tuple[str, ...] = Field(default=(), description="origins whose pages may call; unset: any")
    log_style: LogStyle | None = Field(
        default=None, description="unset: text on a terminal, else json; texts of requests are never logged"
    )
    cache: Path | None = Field(default=None, description="graphs and choices of engines; unset: the user's cache")
