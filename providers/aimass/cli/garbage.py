"""`airflow aimass gc`."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from aimass.cli.console import Exit, command, complain, human_bytes, say, say_json
from aimass.core.errors import ConfigError
from aimass.core.gc import collect_garbage, find_garbage
from aimass.core.storage import Store
from aimass.hooks.runtime import store_of
from aimass.hooks.store import StoreHook


@command
def gc(args: Namespace) -> Exit:
    """List what may go from the store, and delete it when told to."""
    if args.keep_days < 0 or args.in_flight_hours < 0:
        raise ConfigError("A time to keep is negative", expected="days and hours of 0 or more")
    settings = store_of(StoreHook.default_conn_name)
    store = Store(args.store or settings.root, options=settings.options)
    garbage = find_garbage(
        store,
        now=datetime.now(UTC),
        keep=timedelta(days=args.keep_days),
        in_flight=timedelta(hours=args.in_flight_hours),
    )
    size = sum(item.size_bytes for item in garbage)
    if args.json:
        say_json({"store": store.root, "deleted": args.delete, "bytes": size, "garbage": [asdict(x) for x in garbage]})
    else:
        for item in garbage:
            say(f"{item.kind:<13} {human_bytes(item.size_bytes):>11}  {item.uri}  ({item.reason})")
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(x.kind for x in garbage).items()))
        say(f"{counts or 'nothing'}: {human_bytes(size)} in {store.root}")
    if not args.delete:
        if garbage and not args.json:
            say("Nothing was deleted; --delete deletes it.")
        return Exit.OK
    failed = [(item, error) for item, error in collect_garbage(store, garbage) if error is not None]
    for item, error in failed:
        complain(f"{item.uri} stays: {error}")
    return Exit.FAILED if failed else Exit.OK
