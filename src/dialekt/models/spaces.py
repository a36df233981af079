"""The id of a vector space: models with the same one answer from the same document vectors."""

from dialekt.models.contract import EncodingContract
from dialekt.store.hashing import hash_json

_ID_DIGITS = 16


def space_id(contract: EncodingContract, model_id: str) -> str:
    """Return the id of the space that a model's documents lie in: the hash of all that decides their vectors.

    `model_id` is what `describe_model` says of the model. One whose query side alone was tuned lies in the space of
    the model that encodes its documents, so their index serves it as it is.
    """
    decisive = {
        "document encoder": contract.document_model or model_id,
        "document prompt": contract.document_prompt,
        "pooling": contract.pooling,
        "normalize": contract.normalize,
        "max tokens": contract.max_tokens,
        "dimension": contract.dimension,
    }
    return hash_json(decisive)[:_ID_DIGITS]
