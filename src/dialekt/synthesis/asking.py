"""Asks an LLM many things at once: bounded calls under way, journal first, budget never passed."""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from dialekt.config import SynthesisConfig
from dialekt.errors import ConfigError, EndpointError
from dialekt.models.llm import Answer, CallFailedError, Endpoint, Llm, count_tokens, endpoint_of
from dialekt.synthesis.journal import Journal, request_key
from dialekt.synthesis.prompts import Form, Request, parse_answer
from dialekt.synthesis.records import LlmUse
from dialekt.types import Progress, ReportProgress, no_progress

ATTEMPTS = 3  # at an answer that can be read
FAILURES_IN_A_ROW = 10
_MILLION = 1_000_000


def check_prices(config: SynthesisConfig) -> None:
    """Raise `ConfigError` for a budget that no price would ever use up."""
    if config.budget is not None and not (config.input_price or config.output_price):
        raise ConfigError(
            "synthesis.budget does nothing while both prices are 0",
            hint="set synthesis.input_price and synthesis.output_price, per million tokens",
        )


def price(config: SynthesisConfig, input_tokens: int, output_tokens: int) -> float:
    """Return what tokens cost."""
    return (input_tokens * config.input_price + output_tokens * config.output_price) / _MILLION


def prompt_tokens(request: Request[Form]) -> int:
    """Estimate the tokens that go in."""
    return count_tokens(request.prompt.system + request.prompt.user)


class Asker:
    """Keeps account over all questions of a run."""

    def __init__(self, config: SynthesisConfig, journal: Journal, *, progress: ReportProgress = no_progress):
        check_prices(config)
        self.use = LlmUse()
        self._config = config
        self._journal = journal
        self._progress = progress
        self._endpoint: Endpoint = endpoint_of(config)
        self._reserved = 0.0
        self._failures_in_row = 0
        self._last_failure = ""

    def ask(self, requests: Sequence[Request[Form]], label: str) -> list[Form | None]:
        """Return an answer per request; `None` where there is none: failed, never readable, or beyond the budget.

        Raises `EndpointError` when the endpoint refuses, or has failed ten times in a row, or with every request.
        """
        answers: list[Form | None] = [None] * len(requests)
        waiting = []
        for number, request in enumerate(requests):
            answers[number] = self._known(request)
            if answers[number] is None and self._attempts_left(request):
                waiting.append((number, request))
            elif answers[number] is None:
                self.use = replace(self.use, malformed=self.use.malformed + 1)
        with self._journal:
            _run_to_the_end(self._ask_waiting(waiting, answers, label))
        return answers

    def _known(self, request: Request[Form]) -> Form | None:
        """Return the answer that the journal holds, and count what it and its malformed forerunners cost."""
        for answer in self._journal.answers(request_key(self._endpoint, request.prompt)):
            self._count(answer)
            self.use = replace(self.use, reused=self.use.reused + 1)
            if parsed := parse_answer(answer.text, request.form):
                return parsed
        return None

    def _attempts_left(self, request: Request[Form]) -> int:
        return ATTEMPTS - len(self._journal.answers(request_key(self._endpoint, request.prompt)))

    async def _ask_waiting(
        self, waiting: Sequence[tuple[int, Request[Form]]], answers: list[Form | None], label: str
    ) -> None:
        if not waiting:
            return
        queue = iter(waiting)
        failed_before, done = self.use.failed, [len(answers) - len(waiting)]
        async with Llm(self._endpoint) as llm:

            async def work() -> None:
                for number, request in queue:
                    answers[number] = await self._within_budget(llm, request)
                    done[0] += 1
                    note = f"cost {self.use.cost:.2f}" if self.use.cost else f"{self.use.output_tokens:,} tokens"
                    self._progress(Progress(label, done[0], len(answers), note))

            await asyncio.gather(*(work() for _ in range(min(self._config.concurrency, len(waiting)))))
        if self.use.failed - failed_before == len(answers):
            raise self._given_up()

    async def _within_budget(self, llm: Llm, request: Request[Form]) -> Form | None:
        """Ask, unless this could pass the budget: what is under way counts at twice its estimate."""
        expected = 2 * price(self._config, prompt_tokens(request), request.output_tokens)
        budget = self._config.budget
        if budget is not None and self.use.cost + self._reserved + expected > budget:
            self.use = replace(self.use, left_by_budget=self.use.left_by_budget + 1)
            return None
        self._reserved += expected
        try:
            return await self._attempt(llm, request)
        finally:
            self._reserved -= expected

    async def _attempt(self, llm: Llm, request: Request[Form]) -> Form | None:
        key = request_key(self._endpoint, request.prompt)
        for _ in range(self._attempts_left(request)):
            try:
                answer = await llm.ask(request.prompt)
            except CallFailedError as error:
                self._fail(error)
                return None
            self._failures_in_row = 0
            self._journal.add(key, answer)
            self._count(answer)
            self.use = replace(self.use, calls=self.use.calls + 1)
            if parsed := parse_answer(answer.text, request.form):
                return parsed
            if self._is_spent():
                break
        self.use = replace(self.use, malformed=self.use.malformed + 1)
        return None

    def _is_spent(self) -> bool:
        return self._config.budget is not None and self.use.cost + self._reserved > self._config.budget

    def _fail(self, error: CallFailedError) -> None:
        self.use = replace(self.use, failed=self.use.failed + 1)
        self._failures_in_row += 1
        self._last_failure = error.message
        if self._failures_in_row >= FAILURES_IN_A_ROW:
            raise self._given_up()

    def _given_up(self) -> EndpointError:
        return EndpointError(
            f"no answer from the LLM: {self._last_failure}",
            hint="what was answered is kept and not paid for again: mend the endpoint, run the same command",
        )

    def _count(self, answer: Answer) -> None:
        cost = price(self._config, answer.input_tokens, answer.output_tokens)
        self.use = replace(
            self.use,
            input_tokens=self.use.input_tokens + answer.input_tokens,
            output_tokens=self.use.output_tokens + answer.output_tokens,
            cost=self.use.cost + cost,
        )


def _run_to_the_end(work: Coroutine[None, None, None]) -> None:
    """Run asynchronous work; in a notebook, whose loop is running already, in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, work).result()


def unanswered(config: SynthesisConfig, journal: Journal, requests: Sequence[Request[Form]]) -> list[Request[Form]]:
    """Return the requests that the journal has no readable answer to."""
    endpoint = endpoint_of(config)
    return [
        request
        for request in requests
        if not any(
            parse_answer(answer.text, request.form) for answer in journal.answers(request_key(endpoint, request.prompt))
        )
    ]
