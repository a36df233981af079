"""Queries by an LLM, asked of a real HTTP server with scripted answers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.synthesis.samples import made_by_people, write_inputs
from tests.synthesis.scripted import Endpoint, Reply, document_of, endpoint, queries_about

from dialekt.config import ModelConfig, SynthesisConfig
from dialekt.config.synthesis import Generator, QueryKind
from dialekt.errors import ConfigError, EndpointError
from dialekt.models.encoder import Encoder
from dialekt.store.tables import read_records
from dialekt.synthesis.cost import estimate
from dialekt.synthesis.records import InstructionNegative, SynthesisInputs, SyntheticQuery
from dialekt.synthesis.stage import run
from dialekt.types import Progress, Split


def config_for(server: Endpoint, **changes: Any) -> SynthesisConfig:
    """Return settings for a scripted endpoint; the round trip is off, as answers are made up."""
    values: dict[str, Any] = {
        "generators": (Generator.LLM,),
        "base_url": server.url,
        "llm": "tiny",
        "round_trip_rank": None,
        "max_retries": 1,
        "timeout_seconds": 5.0,
    }
    return SynthesisConfig(**(values | changes))


def good(body: dict[str, Any], _: int) -> Reply:
    """Answer every request well."""
    return Reply(queries_about(body))


def made(out: Path) -> list[SyntheticQuery]:
    """Return the queries that the stage wrote."""
    return read_records(out / "queries.parquet", SyntheticQuery)


def test_every_document_is_asked_once(tmp_path: Path) -> None:
    """Three queries of different kinds per document, with tokens and cost in the facts, and progress on the way."""
    heard: list[Progress] = []
    with endpoint(good) as server:
        config = config_for(server, input_price=2.0, output_price=5.0)
        facts = run(config, write_inputs(tmp_path / "in"), tmp_path, progress=heard.append)
    starts = sorted(document_of(body)[:9] for body in server.requests)
    assert starts == ["Customers", "Gear pump", "Solar inv", "Sourdough"]
    assert facts.made == {"llm": 12}
    assert (facts.llm.calls, facts.llm.input_tokens, facts.llm.output_tokens) == (4, 400, 40)
    assert facts.llm.cost == pytest.approx((400 * 2 + 40 * 5) / 1e6)
    assert {query.generator for query in made(tmp_path)} == {Generator.LLM}
    pump = [query.kind for query in made(tmp_path) if query.document_id == "pump"]
    assert len(set(pump)) == 3
    assert heard[-1].done == heard[-1].total


def test_calls_under_way_are_bounded(tmp_path: Path) -> None:
    """Never more at once than `concurrency`, and as many where there is work."""
    with endpoint(lambda body, _: Reply(queries_about(body), delay_seconds=0.2)) as server:
        run(config_for(server, concurrency=2), write_inputs(tmp_path / "in"), tmp_path)
    assert server.most_under_way == 2


def test_the_answer_is_asked_for_by_schema(tmp_path: Path) -> None:
    """The request names the model, carries the key of the named variable and a strict JSON schema."""
    with endpoint(good) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_KEY", "secret")
        run(config_for(server, api_key_variable="MY_KEY"), write_inputs(tmp_path / "in"), tmp_path)
    body = server.requests[0]
    assert (body["model"], body["path"], body["key"]) == ("tiny", "/v1/chat/completions", "Bearer secret")
    schema = body["response_format"]["json_schema"]
    assert schema["strict"]
    assert schema["schema"]["additionalProperties"] is False


def test_an_endpoint_without_schemas_is_asked_for_plain_json(tmp_path: Path) -> None:
    """Formats that it refuses are not asked for again, and talk around the JSON is passed over."""

    def script(body: dict[str, Any], _: int) -> Reply:
        if "response_format" in body:
            return Reply("response_format is not supported", status=400)
        return Reply(f"Sure! ```json\n{queries_about(body)}\n``` Anything else?")

    with endpoint(script) as server:
        facts = run(config_for(server, concurrency=1), write_inputs(tmp_path / "in"), tmp_path)
    assert facts.queries == 12
    assert ["response_format" in body for body in server.requests] == [True, True, False, False, False, False]


def test_a_busy_endpoint_is_asked_again_when_it_says(tmp_path: Path) -> None:
    """After 429 with Retry-After the call waits that long and then succeeds."""
    moments: list[float] = []

    def script(body: dict[str, Any], number: int) -> Reply:
        moments.append(time.monotonic())
        if number == 0:
            return Reply("slow down", status=429, headers={"Retry-After": "1"})
        return Reply(queries_about(body))

    with endpoint(script) as server:
        facts = run(config_for(server, concurrency=1), write_inputs(tmp_path / "in"), tmp_path)
    assert (facts.llm.calls, facts.llm.failed) == (4, 0)
    assert moments[1] - moments[0] >= 1.0


def test_a_call_that_times_out_is_tried_again_then_counted(tmp_path: Path) -> None:
    """One document whose calls all hang costs only its own queries."""

    def script(body: dict[str, Any], _: int) -> Reply:
        return Reply(queries_about(body), delay_seconds=1.0 if "Solar" in document_of(body) else 0.0)

    with endpoint(script) as server:
        config = config_for(server, timeout_seconds=0.3)
        facts = run(config, write_inputs(tmp_path / "in"), tmp_path)
    assert [document_of(body) for body in server.requests].count("Solar inverter") == 2
    assert (facts.llm.failed, facts.made["llm"]) == (1, 9)
    assert "1 calls failed after all retries" in facts.warnings


def test_malformed_answers_are_asked_for_again_then_counted(tmp_path: Path) -> None:
    """An answer cut short is repaired by the next; three unreadable ones are given up, and were paid for."""
    cut: set[str] = set()

    def script(body: dict[str, Any], _: int) -> Reply:
        title = document_of(body)
        if title == "Solar inverter":
            return Reply("I would rather not.")
        if title == "Gear pump manual" and title not in cut:
            cut.add(title)
            return Reply('{"queries": ["gear pu')
        return Reply(queries_about(body))

    with endpoint(script) as server:
        facts = run(config_for(server), write_inputs(tmp_path / "in"), tmp_path)
        again = run(config_for(server), write_inputs(tmp_path / "in"), tmp_path)
    assert (facts.made["llm"], facts.llm.malformed, facts.llm.calls) == (9, 1, 7)
    assert (again.llm.calls, again.llm.reused, again.made) == (0, 7, facts.made)
    assert again.llm.malformed == 1
    assert len(server.paid) == 7


@pytest.mark.parametrize(("status", "message"), [(401, "the endpoint refused"), (503, "no answer from the LLM")])
def test_an_endpoint_that_never_answers_is_an_error(tmp_path: Path, status: int, message: str) -> None:
    """A wrong key stops at once; an endpoint that is down stops after the retries of every call."""
    with (
        endpoint(lambda *_: Reply("no", status=status)) as server,
        pytest.raises(EndpointError, match=message),
    ):
        run(config_for(server), write_inputs(tmp_path / "in"), tmp_path)


def test_a_document_that_is_always_refused_stops_nobody(tmp_path: Path) -> None:
    """Too long for the model, say: it is counted, also when a later run has only that one left to ask."""

    def script(body: dict[str, Any], _: int) -> Reply:
        return Reply("too long", status=400) if document_of(body) == "Solar inverter" else Reply(queries_about(body))

    with endpoint(script) as server:
        facts = [run(config_for(server), write_inputs(tmp_path / "in"), tmp_path) for _ in range(2)]
    assert [(one.llm.calls, one.llm.failed, one.made["llm"]) for one in facts] == [(3, 1, 9), (0, 1, 9)]
    assert len(server.paid) == 3


def test_a_killed_run_pays_for_nothing_twice(tmp_path: Path) -> None:
    """After kill -9 half-way, the next run asks only for what was not answered; a torn last line is forgotten."""

    def script(body: dict[str, Any], number: int) -> Reply:
        return Reply(queries_about(body), delay_seconds=60.0 if number == 2 else 0.0)

    write_inputs(tmp_path / "in")
    journal = tmp_path / "answers.jsonl"
    with endpoint(script) as server:
        config = config_for(server, concurrency=1, timeout_seconds=90.0)
        program = (
            "import sys; from pathlib import Path; from dialekt.config import SynthesisConfig;"
            "from dialekt.synthesis.stage import run; from dialekt.synthesis.records import SynthesisInputs;"
            "folder = Path(sys.argv[1]); run(SynthesisConfig.model_validate_json(sys.argv[2]),"
            "SynthesisInputs(folder / 'in/documents.parquet', folder / 'in/queries.parquet'), folder)"
        )
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), config.model_dump_json()])
        deadline = time.monotonic() + 60
        while len(server.requests) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        paid_before = list(server.paid)
        with journal.open("ab") as file:
            file.write(b'{"request": "half a li')
        facts = run(config, write_inputs(tmp_path / "in"), tmp_path)
    assert len(paid_before) == 2
    assert (facts.llm.reused, facts.llm.calls, facts.made) == (2, 2, {"llm": 12})
    assert not set(paid_before) & set(server.paid[2:])
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 4


def test_the_budget_is_never_passed(tmp_path: Path) -> None:
    """Calls stop before it could be; what there is becomes queries; the same run again buys nothing more."""
    with endpoint(lambda body, _: Reply(queries_about(body), input_tokens=400, output_tokens=100)) as server:
        config = config_for(server, input_price=1000.0, output_price=1000.0, budget=2.2, concurrency=4)
        facts = run(config, write_inputs(tmp_path / "in"), tmp_path)
        again = run(config, write_inputs(tmp_path / "in"), tmp_path)
    assert 0 < facts.llm.cost <= 2.2
    assert facts.llm.calls + facts.llm.left_by_budget == 4
    assert facts.queries == 3 * facts.llm.calls > 0
    assert again.llm.cost <= 2.2
    assert any(text.startswith("the budget was used up") for text in facts.warnings)


def test_only_train_queries_are_shown_as_examples(tmp_path: Path) -> None:
    """Dev and test queries never leave the machine; `few_shot = 0` keeps all at home."""
    queries = [
        *made_by_people(["train words here"]),
        *made_by_people(["secret test words"], Split.TEST),
        *made_by_people(["secret dev words"], Split.DEV),
    ]
    with endpoint(good) as server:
        run(config_for(server), write_inputs(tmp_path / "in", queries=queries), tmp_path)
        shown = json.dumps(server.requests)
        server.requests.clear()
        run(config_for(server, few_shot=0), write_inputs(tmp_path / "in", queries=queries), tmp_path / "other")
    assert "train words here" in shown
    assert "secret" not in shown
    assert "train words" not in json.dumps(server.requests)


def test_languages_are_asked_for_in_turns(tmp_path: Path) -> None:
    """Every document is asked in one of them, and its queries say which."""
    with endpoint(good) as server:
        run(config_for(server, languages=("German", "French")), write_inputs(tmp_path / "in"), tmp_path)
    assert {query.language for query in made(tmp_path)} <= {"German", "French"}
    assert all("in this language: " in body["messages"][1]["content"] for body in server.requests)


def test_instructions_come_with_the_document_that_breaks_them(tmp_path: Path, tiny_model: Path) -> None:
    """The encoder sees query and instruction; the neighbour becomes a negative; plain queries are made beside."""

    def script(body: dict[str, Any], _: int) -> Reply:
        if "Document B" not in body["messages"][1]["content"]:
            return Reply(queries_about(body))
        subject = document_of(body)
        empty = subject == "Solar inverter"
        found = {"query": "" if empty else f"about {subject[:9]}", "instruction": "" if empty else "Only for experts."}
        return Reply(json.dumps(found))

    with endpoint(script) as server:
        config = config_for(server, instructions=True)
        encode = Encoder.load(str(tiny_model), ModelConfig(base=str(tiny_model))).encode
        facts = run(config, write_inputs(tmp_path / "in", encode=encode), tmp_path)
    instructed = [query for query in made(tmp_path) if query.instruction]
    assert {query.document_id for query in instructed} == {"pump", "refund", "bread"}
    assert all(query.text.endswith("Only for experts.") for query in instructed)
    negatives = read_records(tmp_path / "negatives.parquet", InstructionNegative)
    assert {one.query_id for one in negatives} == {query.id for query in instructed}
    positive_of = {query.id: query.document_id for query in instructed}
    assert all(one.document_id != positive_of[one.query_id] for one in negatives)
    assert (facts.instruction_negatives, facts.queries) == (3, 15)


def test_the_judge_turns_queries_down(tmp_path: Path) -> None:
    """It is asked once per document; those that it does not name are rejected."""

    def script(body: dict[str, Any], _: int) -> Reply:
        judging = body["response_format"]["json_schema"]["name"] == "GoodQueries"
        return Reply(json.dumps({"good": [1, 3]}) if judging else queries_about(body))

    with endpoint(script) as server:
        facts = run(config_for(server, judge=True), write_inputs(tmp_path / "in"), tmp_path)
    assert (facts.dropped["judge"], facts.queries, facts.llm.calls) == (4, 8, 8)


def test_the_estimate_counts_what_is_not_answered_yet(tmp_path: Path) -> None:
    """Nothing is asked for it; after the run nothing is left to pay."""
    inputs = write_inputs(tmp_path / "in")
    kept = SynthesisInputs(inputs.corpus, inputs.queries, answers=tmp_path / "kept.jsonl")
    with endpoint(good) as server:
        config = config_for(server, input_price=1.0, output_price=1.0)
        before = estimate(config, kept)
        assert not server.requests
        run(config, kept, tmp_path)
        after = estimate(config, kept)
    assert (before.calls, before.answered, after.calls, after.answered) == (4, 0, 0, 4)
    assert before.cost == pytest.approx((before.input_tokens + before.output_tokens) / 1e6)
    assert after.cost == 0
    assert estimate(SynthesisConfig(generators=(Generator.LOCAL,)), inputs).calls == 0
    more = estimate(config_for(server, judge=True, instructions=True), inputs)
    assert more.calls == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llm": None}, "synthesis.llm is not set"),
        ({"base_url": None, "api_key_variable": "NOT_THERE"}, "NOT_THERE is not set"),
        ({"budget": 3.0}, "budget does nothing"),
        ({"generators": (Generator.LOCAL,), "instructions": True}, "instructions needs an LLM"),
        ({"generators": (Generator.DOC2QUERY,)}, "doc2query_model is not set"),
    ],
)
def test_settings_that_cannot_work_are_errors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Before anything is asked."""
    with endpoint(good) as server, pytest.raises(ConfigError, match=message):
        run(config_for(server, **changes), write_inputs(tmp_path / "in"), tmp_path)
    assert not server.requests


def test_kinds_are_asked_for_in_turns(tmp_path: Path) -> None:
    """With two kinds and three queries, the kinds alternate."""
    kinds = (QueryKind.QUESTION, QueryKind.CLAIM)
    with endpoint(good) as server:
        run(config_for(server, kinds=kinds), write_inputs(tmp_path / "in"), tmp_path)
    bread = [query.kind for query in made(tmp_path) if query.document_id == "bread"]
    assert bread in ([kinds[0], kinds[1], kinds[0]], [kinds[1], kinds[0], kinds[1]])


def test_it_works_where_a_loop_is_running(tmp_path: Path) -> None:
    """As in a notebook, whose cells run inside one."""

    async def cell(config: SynthesisConfig) -> int:
        return run(config, write_inputs(tmp_path / "in"), tmp_path).queries

    with endpoint(good) as server:
        assert asyncio.run(cell(config_for(server))) == 12
