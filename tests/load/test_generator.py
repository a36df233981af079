"""A load is sent as planned, and every request is accounted for."""

import asyncio
import socket
import time
from dataclasses import replace

import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.load.conftest import Serve, Subject, answer_embed, answer_openai

from dialekt.load.generator import run_here
from dialekt.load.records import Answer, Failure, Pace, Plan
from dialekt.load.rounds import run_round, run_rounds, run_workers, split_plan
from dialekt.load.statistics import latencies_ms, summarise
from dialekt.load.targets import Access, find_target, make_requests, parse_url
from dialekt.load.texts import Length, make_texts


def make_plan(subject: Subject, pace: Pace, *, batch_size: int = 1, access: Access | None = None) -> Plan:
    """Plan short texts for a server."""
    access = access or Access()
    target = find_target(subject.url, None, access)
    texts = make_texts(16 * batch_size, Length.SHORT, seed=1)
    return Plan(target, make_requests(target, texts, access, batch_size=batch_size), batch_size, pace)


async def answer_slowly(subject: Subject, request: Request) -> Response:
    """Answer after 50 ms."""
    await asyncio.sleep(0.05)
    return await answer_embed(subject, request)


def test_a_fixed_number_of_requests_is_sent(serve: Serve) -> None:
    """Exactly as many as asked, each with its texts and the key, and tokens as the server counts them."""
    with serve() as subject:
        plan = make_plan(subject, Pace(4, 30.0, requests=50), batch_size=3, access=Access(key="k"))
        tally = run_here(plan)
        bodies, keys = subject.bodies, subject.keys
    assert tally.status.tolist() == [200] * 50
    assert tally.tokens.tolist() == [21] * 50
    assert len(bodies) == 50
    assert {len(body["inputs"]) for body in bodies} == {3}
    assert keys == {"Bearer k"}


def test_a_closed_loop_keeps_its_clients_busy(serve: Serve) -> None:
    """Eight clients at 50 ms each make at most 160 requests a second, and no client waits for another."""
    with serve(answer_slowly) as subject:
        tally = run_here(make_plan(subject, Pace(8, 1.0, warmup_seconds=0.2)))
    found = summarise(tally, texts_per_request=1)
    assert 20 < found.requests_per_second <= 165
    assert found.latency_ms is not None
    assert found.latency_ms.p50 >= 50


def test_an_open_loop_sends_at_its_rate(serve: Serve) -> None:
    """Requests come at random times around the rate, whatever the server does; gaps are exponential."""
    with serve() as subject:
        tally = run_here(make_plan(subject, Pace(100, 2.0, rate_per_second=300)))
    assert 480 < tally.status.size < 720
    gaps = np.diff(np.sort(tally.intended))
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.25)


def test_waiting_for_a_connection_is_latency(serve: Serve) -> None:
    """One connection, 50 ms a request, 40 requests a second: the queue grows, and latency with it."""
    with serve(answer_slowly) as subject:
        tally = run_here(make_plan(subject, Pace(1, 1.0, rate_per_second=40)))
    assert latencies_ms(tally).max() > 250
    assert tally.unsent > 5


def test_usage_of_an_openai_body_is_counted(serve: Serve) -> None:
    """Where no header tells the tokens, the body does."""
    with serve(answer_openai, openai=True) as subject:
        tally = run_here(make_plan(subject, Pace(2, 30.0, requests=5)))
    assert tally.tokens.tolist() == [5] * 5


def test_refusals_are_kept_with_an_example(serve: Serve) -> None:
    """A status counts as it came, and the first body of each is kept."""

    async def refuse(_subject: Subject, _request: Request) -> Response:
        return JSONResponse({"error": "busy"}, status_code=429, headers={"connection": "close"})

    with serve(refuse) as subject:
        tally = run_here(make_plan(subject, Pace(2, 30.0, requests=6)))
    assert tally.status.tolist() == [429] * 6
    assert tally.examples == {429: '{"error":"busy"}'}


def test_answers_can_be_looked_into(serve: Serve) -> None:
    """An inspector gets status, headers, body and the request's row, and its complaints are kept."""
    rows = []

    def inspect(answer: Answer) -> str:
        rows.append(answer.row)
        assert answer.headers["x-compute-tokens"] == "7"
        return "" if answer.body == b"[[0.5,0.5]]" and answer.row != 3 else f"row {answer.row}"

    with serve() as subject:
        tally = run_here(make_plan(subject, Pace(1, 30.0, requests=32)), inspect)
    assert sorted(set(rows)) == list(range(16))
    assert set(tally.complaints) == {"row 3"}


def test_timeouts_are_failures(serve: Serve) -> None:
    """A request that nobody answers is given up."""

    async def sleep(_subject: Subject, _request: Request) -> Response:
        await asyncio.sleep(1.5)
        return Response()

    with serve(sleep) as subject:
        tally = run_here(make_plan(subject, Pace(1, 0.2, timeout_seconds=0.3)))
    assert tally.status.tolist() == [Failure.TIMEOUT]


def test_a_server_that_is_not_there_refuses() -> None:
    """Failures without an answer have names, and the generator does not spin."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = replace(parse_url(f"http://127.0.0.1:{unused.getsockname()[1]}"), path="/embed")
        requests = make_requests(target, ["a"], Access(), batch_size=1)
        tally = run_here(Plan(target, requests, 1, Pace(1, 0.4)))
    assert set(tally.status.tolist()) == {Failure.REFUSED}
    assert tally.status.size < 20


def test_several_processes_send_one_plan(serve: Serve) -> None:
    """Two workers share requests and connections; what they measured is joined."""
    with serve() as subject:
        plan = make_plan(subject, Pace(5, 30.0, requests=41))
        assert [part.pace.requests for part in split_plan(plan, 2)] == [21, 20]
        assert [part.pace.connections for part in split_plan(plan, 2)] == [3, 2]
        tally = run_workers(plan, 2)
        sent = len(subject.bodies)
    assert tally.status.tolist() == [200] * 41
    assert sent == 41


def test_servers_take_turns(serve: Serve) -> None:
    """Two servers, the order reversed every round, each with its batch fill."""
    said: list[str] = []
    with serve() as one, serve() as other:
        plans = [make_plan(subject, Pace(1, 30.0, requests=8)) for subject in (one, other)]
        found = run_rounds(plans, rounds=2, workers=1, say=said.append)
        turns = [one.url, other.url, other.url, one.url]
    assert [line.rpartition(" ")[2] for line in said] == turns
    assert [len(rounds) for rounds in found] == [2, 2]
    fill = found[0][0].summary.batch_fill
    assert fill is not None
    assert (fill.texts, fill.tokens, fill.share) == (4.0, 28.0, 0.1)


@pytest.mark.slow
def test_a_request_costs_the_generator_little(serve: Serve) -> None:
    """The generator itself takes less than 150 µs of processor time a request, its server's time left out."""
    begun = time.thread_time()
    with serve() as subject:
        round_ = run_round(make_plan(subject, Pace(16, 30.0, requests=1_000)), workers=1)
    assert (time.thread_time() - begun) / round_.summary.requests < 150e-6
