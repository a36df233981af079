"""The journal of paid answers: one line per answer, appended as it arrives, so that none is ever paid for twice."""

import json
import os
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dialekt.errors import StorageError
from dialekt.models.llm import Answer, Endpoint, Prompt
from dialekt.store.atomic import disk_errors
from dialekt.store.hashing import hash_json


def request_key(endpoint: Endpoint, prompt: Prompt) -> str:
    """Return the identity of a request: model, temperature, both texts and the schema; not where the model runs."""
    return hash_json([endpoint.model, endpoint.temperature, prompt.system, prompt.user, dict(prompt.schema)])


class Journal:
    """Answers by request. Open it as a context to append; a line cut short by a kill is forgotten and removed."""

    def __init__(self, path: Path):
        self.path = path
        self._answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self._file: IO[bytes] | None = None
        self._length = self._read() if path.is_file() else 0

    def answers(self, key: str) -> list[Answer]:
        """Return all answers to a request, malformed ones among them, oldest first."""
        return list(self._answers.get(key, ()))

    def __enter__(self) -> Self:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
            self._file.truncate(self._length)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def add(self, key: str, answer: Answer) -> None:
        """Append an answer and see it safely on the disk before it is used."""
        assert self._file is not None, "the journal is not open"
        row = {
            "request": key,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "answer": answer.text,
        }
        with disk_errors(self.path):
            self._file.write(json.dumps(row).encode("ascii") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._answers[key].append(answer)

    def _read(self) -> int:
        """Read every whole line and return where the last one ends."""
        end = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                try:
                    row = json.loads(line)
                    answer = Answer(row["answer"], row["input_tokens"], row["output_tokens"])
                    self._answers[row["request"]].append(answer)
                except (ValueError, KeyError, TypeError) as error:
                    raise StorageError(
                        "the line is no paid answer", path=self.path, line=number, hint="remove that line"
                    ) from error
        return end
