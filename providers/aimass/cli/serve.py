"""`airflow aimass serve|replay`: the server's own command line, told what Airflow's connections say.

The server takes this process over, so that Airflow stays neither in its memory nor in its environment.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace

from aimass.cli.console import PROCESS_CONTEXT, Exit, command
from aimass.core.storage import OPTIONS_VARIABLE
from aimass.core.tracking.connection import TOKEN
from aimass.hooks.mlflow import MlflowHook
from aimass.hooks.runtime import build_runtime
from aimass.hooks.store import StoreHook
from aimass.serving.options import options


@command
def serve(args: Namespace) -> Exit:
    """Serve until SIGTERM."""
    return _become(["serve"], args)


@command
def replay(args: Namespace) -> Exit:
    """Answer a logged request anew."""
    return _become(["replay", args.request_id, *(["--model", args.model] if args.model else [])], args)


def _become(words: list[str], args: Namespace) -> Exit:
    """Run the server's command line in place of this process."""
    runtime = build_runtime(
        store_conn_id=StoreHook.default_conn_name, tracking_conn_id=MlflowHook.default_conn_name, project="default"
    )
    given = {option.field: getattr(args, option.field, None) for option in options()}
    known = {"store": runtime.store, "tracking_uri": runtime.tracking_uri, "registry_uri": runtime.registry_uri}
    # What the file says stands over the connections, and what was typed over the file.
    file_first = {} if args.config else known
    for option in options():
        # An empty word is one, too: --store "" keeps no log.
        typed = given[option.field]
        value = typed if typed is not None else file_first.get(option.field)
        if value is not None:
            words += [option.flag, str(value)]
    if args.config:
        words += ["--config", args.config]
    environment = {name: value for name, value in os.environ.items() if name != PROCESS_CONTEXT}
    if runtime.tracking_token is not None:
        environment[TOKEN] = runtime.tracking_token.get_secret_value()
    if runtime.storage_options:
        environment.setdefault(OPTIONS_VARIABLE, json.dumps(runtime.storage_options))
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "aimass.serving", *words], environment)  # noqa: S606 (a list, no shell)
