"""The online inference server's command line.

``python -m aimass.serving [--config serve.yaml] [options]`` serves until SIGTERM; ``replay <request-id>`` answers a
logged request anew, ``check`` says whether the options and the registry are good, ``token <name>`` makes an API token.
Exit code 0: done; 1: not well; 2: wrong options, or not allowed; 3: try again later.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import secrets
import sys
from collections.abc import Sequence

from aimass.core.errors import AimassError, TransientError
from aimass.serving.config import ServeConfig
from aimass.serving.options import REPLAY_FIELDS, add_options, read_config

NOT_WELL, REFUSED, LATER = 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words.pop(0) if words and words[0] in _COMMANDS else "serve"
    parser = argparse.ArgumentParser(prog=f"python -m aimass.serving{'' if command == 'serve' else ' ' + command}")
    try:
        return _COMMANDS[command](parser, words)
    except AimassError as error:
        print(f"aimass: {error}", file=sys.stderr)  # noqa: T201 (a command line speaks by printing)
        return LATER if isinstance(error, TransientError) else REFUSED


def serve(config: ServeConfig) -> int:
    """Serve until SIGTERM or SIGINT."""
    from aimass.serving.logs import set_up_logs
    from aimass.serving.registry import address_of, registry_of
    from aimass.serving.supervisor import Supervisor

    set_up_logs()
    # They tell of each try and each percent; the server's own log says what came of it.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    asyncio.run(Supervisor(config, registry_of(config), address_of(config)).run())
    return 0


def _serve(parser: argparse.ArgumentParser, words: list[str]) -> int:
    parser.description = "Serve released models over REST and gRPC. Other commands: replay, check, token."
    add_options(parser)
    return serve(read_config(parser.parse_args(words)))


def _replay(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from aimass.serving.registry import registry_of
    from aimass.serving.replay import replay, told

    parser.description = (
        "Answer a logged request anew, and say whether the answer has the same bits. Exit code 0: it has, or is as "
        "close as another machine's is (1e-6, the same labels); 1: it is another answer."
    )
    parser.add_argument("request_id", help="the request, as the header X-Request-Id named it")
    parser.add_argument("--model", help="its model; all are searched when left out")
    add_options(parser, REPLAY_FIELDS)
    given = parser.parse_args(words)
    config = read_config(given)
    found = replay(config, registry_of(config), given.request_id, model=given.model)
    print(told(found))  # noqa: T201
    return 0 if found.is_equal or found.is_close else NOT_WELL


def _check(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from aimass.serving.registry import address_of, registry_of
    from aimass.serving.security import Tokens, tls_context
    from aimass.serving.survey import oddities
    from aimass.serving.watcher import Watcher

    parser.description = "Say whether the options are good and the registry answers, and what would be served."
    add_options(parser)
    config = read_config(parser.parse_args(words))
    Tokens.read(config.tokens_file)
    tls_context(config)
    print(f"registry: {address_of(config)}")  # noqa: T201
    registry = registry_of(config)
    table = Watcher(registry, config.models).look(lambda _: True)
    for name, entry in sorted(table.models.items()):
        print(f"{name}: {entry.aliases or 'no alias'}")  # noqa: T201
    print(f"{len(table.models)} models")  # noqa: T201
    odd = oddities(config, registry, table)
    for sentence in odd:
        print(sentence)  # noqa: T201
    return NOT_WELL if odd else 0


def _token(parser: argparse.ArgumentParser, words: list[str]) -> int:
    parser.description = "Make an API token: the line for the tokens file on stdout, the token itself on stderr, once."
    parser.add_argument("name", help="whose it is: letters, digits, dot, dash, underscore")
    parser.add_argument("--models", help="the models that it may ask, with commas between; all when left out")
    given = parser.parse_args(words)
    token = secrets.token_urlsafe(32)
    line = f"{given.name}:{hashlib.sha256(token.encode()).hexdigest()}"
    print(f"{line}:{given.models}" if given.models else line)  # noqa: T201
    print(token, file=sys.stderr)  # noqa: T201
    return 0


_COMMANDS = {"serve": _serve, "replay": _replay, "check": _check, "token": _token}

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A thread that still waits for a registry which does not answer must not hold up the end.
    os._exit(code)
