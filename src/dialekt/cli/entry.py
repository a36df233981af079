"""The one place where errors become lines for people, JSON for scripts, and exit codes for both."""

import json
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from dialekt.cli.app import app
from dialekt.cli.stopping import stopping
from dialekt.errors import DialektError

STOPPED = 130
DEBUG_FLAG = "--debug"
# typer carries its own copy of click since 0.29 and exports only this subclass of its usage errors.
_USAGE_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.mro() if kind.__name__ == "UsageError")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 the user's error, 2 wrong usage, 3 a gate said no."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG_FLAG in given
    words = [word for word in given if word != DEBUG_FLAG]
    as_json = "--json" in words
    try:
        with stopping():
            return _run(words, as_json=as_json)
    except KeyboardInterrupt:
        return _say_stopped(as_json=as_json)
    except BrokenPipeError:
        return _close_quietly()
    except DialektError as error:
        if debug:
            traceback.print_exc()
        return _say_error(error.message, error.hint, error.exit_code, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last door: a person sees one line, and --debug shows all of it
        if debug:
            traceback.print_exc()
        hint = "" if debug else f"this is a fault of dialekt; run with {DEBUG_FLAG} for the traceback"
        return _say_error(f"unexpected {type(error).__name__}: {error}", hint, 1, as_json=as_json)


def _run(words: list[str], *, as_json: bool) -> int:
    try:
        outcome = app(words, prog_name="dialekt", standalone_mode=False)
        sys.stdout.flush()
    except _USAGE_ERROR as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "dialekt"
        return _say_error(_usage_message(error), f"{path} --help", 2, as_json=as_json)
    except typer.Abort:
        return _say_stopped(as_json=as_json)
    code = outcome if isinstance(outcome, int) else 0
    return _say_stopped(as_json=as_json) if code == STOPPED else code


def _usage_message(error: Exception) -> str:
    format_message = getattr(error, "format_message", None)
    return str(format_message() if format_message else error).rstrip(".")


def _say_stopped(*, as_json: bool) -> int:
    message = "stopped; every finished stage is kept, and training its last checkpoint"
    return _say_error(message, "the same command goes on from there", STOPPED, as_json=as_json)


def _say_error(message: str, hint: str, exit_code: int, *, as_json: bool) -> int:
    one_line = " ".join(message.split())
    sys.stderr.write(f"error: {one_line}\n" + (f"hint: {hint}\n" if hint else ""))
    if as_json:
        answer = {"schema": "dialekt.error/1", "error": one_line, "hint": hint, "exit_code": exit_code}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return exit_code


def _close_quietly() -> int:
    """Leave without a word when the reader of our output has gone, as `dialekt models list | head -1` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
