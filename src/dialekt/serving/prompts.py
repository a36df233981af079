"""Which prompt goes before the inputs of a request.

As in TEI none does, unless the request names one or the server has a default. `input_type` names a side of the
model's encoding contract; `prompt_name` one of the model's prompts: `query` and `document` are those of the contract.
"""

from dialekt.config import ServingConfig
from dialekt.errors import RequestError
from dialekt.models.contract import EncodingContract
from dialekt.models.engines.servable import Servable
from dialekt.serving.wire_tei import InputType
from dialekt.types import Role


def choose_prompt(config: ServingConfig, model: Servable, *, name: str | None, input_type: InputType | None) -> str:
    """Return what goes before every input. Raises `RequestError` for a prompt that the model has not got.

    `name` beats `input_type`, which beats the server's default.
    """
    if name is not None:
        return _named(model, name, param="prompt_name")
    contract = model.contract
    if input_type is not None:
        return contract.prompt(input_type.role) if contract else ""
    if config.default_prompt is not None:
        return config.default_prompt if contract else ""
    if config.default_prompt_name is not None and contract:
        return _named(model, config.default_prompt_name, param="default_prompt_name")
    return ""


def side_of(config: ServingConfig, *, name: str | None, input_type: InputType | None) -> Role | None:
    """Return the side of the encoding contract that inputs are on, None where neither request nor server says."""
    if name is None and input_type is not None:
        return input_type.role
    if name is None and config.default_prompt is None:
        name = config.default_prompt_name
    return next((role for role in Role if role.value == name), None)


def side_warning(side: Role | None, contract: EncodingContract | None) -> str:
    """Return what to say where nobody says which side inputs are on, and each has its own model; empty elsewhere."""
    if side is not None or contract is None or not contract.document_model:
        return ""
    return "encoded as queries: documents have an encoder of their own, which input_type=document asks for"


def _named(model: Servable, name: str, *, param: str) -> str:
    contract = model.contract
    prompts = {**model.prompts, **({role.value: contract.prompt(role) for role in Role} if contract else {})}
    if name not in prompts:
        has = f"the model has: {', '.join(sorted(prompts))}" if prompts else "the model has none"
        raise RequestError(
            f"`{param}` is set to {name[:64]!r}, which is not a prompt of the model", hint=has, param=param
        )
    return prompts[name]
