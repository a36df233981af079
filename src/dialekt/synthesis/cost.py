"""What asking the LLM would cost, before anything is asked."""

from collections.abc import Sequence

from dialekt.config import Generator, SynthesisConfig
from dialekt.synthesis.asking import check_prices, price, prompt_tokens, unanswered
from dialekt.synthesis.journal import Journal
from dialekt.synthesis.llm_queries import check_options, query_requests, uses_llm
from dialekt.synthesis.material import Material, per_document, read_material
from dialekt.synthesis.prompts import Form, Request, ask_for_instruction, ask_for_judgment
from dialekt.synthesis.records import CostEstimate, SynthesisInputs

_TYPICAL_QUERY = "what people typically ask of it"


def estimate(config: SynthesisConfig, inputs: SynthesisInputs) -> CostEstimate:
    """Return calls, tokens and cost of all that the journal in `inputs.answers` does not answer yet.

    The judge is counted as if every query reached it, a neighbour as long as its document: rather too much.
    """
    check_options(config)
    if not uses_llm(config):
        return CostEstimate(calls=0, answered=0, input_tokens=0, output_tokens=0, cost=0.0)
    check_prices(config)
    material = read_material(config, inputs)
    journal = Journal(inputs.answers) if inputs.answers else None
    parts = [_of_queries(config, material, inputs.seed, journal)]
    if config.instructions:
        requests = [ask_for_instruction(config, document, document) for document in material.asked]
        parts.append(_sum(config, requests, answered=0))
    if config.judge:
        made = sum(per_document(config, generator, len(material.asked)) for generator in config.generators)
        texts = [_TYPICAL_QUERY] * (made + config.instructions)
        parts.append(_sum(config, [ask_for_judgment(document, texts) for document in material.asked], answered=0))
    return CostEstimate(
        calls=sum(part.calls for part in parts),
        answered=sum(part.answered for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
        cost=sum(part.cost for part in parts),
    )


def _of_queries(config: SynthesisConfig, material: Material, seed: int, journal: Journal | None) -> CostEstimate:
    if Generator.LLM not in config.generators:
        return _sum(config, [], answered=0)
    count = per_document(config, Generator.LLM, len(material.asked))
    requests = query_requests(config, material.asked, count=count, train=material.train, seed=seed)
    left = unanswered(config, journal, requests) if journal else requests
    return _sum(config, left, answered=len(requests) - len(left))


def _sum(config: SynthesisConfig, requests: Sequence[Request[Form]], *, answered: int) -> CostEstimate:
    input_tokens = sum(prompt_tokens(request) for request in requests)
    output_tokens = sum(request.output_tokens for request in requests)
    cost = price(config, input_tokens, output_tokens)
    return CostEstimate(len(requests), answered, input_tokens, output_tokens, cost)
