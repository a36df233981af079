"""Clients that misbehave: those that send a byte a second, and those that send what is no request."""

import json
import random
import socket
import threading
from typing import Any

SLOW_CLIENTS = 300


def trickle(port: int, stopping: threading.Event, ended: list[int]) -> None:
    """Hold many connections with a byte a second each: a third in the headers, a third in the body, a third silent."""
    head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    beginnings = (head, head + b"Content-Length: 5000\r\n\r\n", b"")
    drops = (b"X", b" ", b"")
    clients = []
    for number in range(SLOW_CLIENTS):
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        client.sendall(beginnings[number % 3])
        client.settimeout(0)
        clients.append((client, drops[number % 3]))
    while not stopping.wait(1.0):
        for client, drop in list(clients):
            if not _still_open(client, drop):
                ended[0] += 1
                clients.remove((client, drop))
                client.close()
    for client, _ in clients:
        client.close()


def _still_open(client: socket.socket, drop: bytes) -> bool:
    try:
        client.send(drop)
        client.recv(4_096)  # an end, or the words before it
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def malformed_body(draw: random.Random) -> bytes:
    """Return something that is no request: noise, cut or nested JSON, wrong types, numbers beyond all bounds."""
    good: dict[str, Any] = {
        "inputs": ["a text", "another"],
        "input": "a text",
        "query": "q",
        "texts": ["t"],
        "ids": [[101, 102]],
    }
    junk: list[Any] = [
        None,
        True,
        -1,
        1e308,
        10**30,
        "",
        "\ud800",
        [],
        [[]],
        [[[1]]],
        {},
        {"a": []},
        [None],
        ["a", 1],
        "x" * 5_000,
    ]
    kind = draw.randrange(6)
    if kind == 0:
        return draw.randbytes(draw.randrange(200))
    text = json.dumps(good).encode()
    if kind == 1:
        return text[: draw.randrange(len(text))]
    if kind == 2:
        return b"[" * draw.choice([10, 1_000, 100_000])
    if kind == 3:
        place = draw.randrange(len(text))
        return text[:place] + draw.randbytes(3) + text[place:]
    wrong = {
        name: draw.choice(junk) for name in (*good, "truncate", "dimensions", "model", "encoding_format", "parameters")
    }
    wrong = wrong if kind == 4 else good | dict([draw.choice(list(wrong.items()))])
    return json.dumps(wrong).encode()
