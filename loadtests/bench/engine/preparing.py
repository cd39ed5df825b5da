"""Brings a population into the store of a stage: by an import, or from a folder that an earlier run kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from loadtests.stage.api import Api
from loadtests.stage.building import Stage, stage
from loadtests.stage.filling import fill
from loadtests.stage.processes import StageFault
from loadtests.stage.settings import StagePlan

BYTES_A_PERSON = 3_000
"""On disk while it runs: lines, the store's file while it is rewritten, ledgers. Measured: about 1,600."""

_STORE, _PEOPLE, _MARKER = "store", "people.ndjson", "population.json"


class Population(NamedTuple):
    """Which people: the same arguments always give the same."""

    recipients: int
    seed: int
    years: int


def check_room(folder: Path, recipients: int) -> None:
    """Raise StageFault when the disk is too full for a run."""
    free, needed = shutil.disk_usage(folder).free, recipients * BYTES_A_PERSON
    if free < needed:
        raise StageFault(f"{folder} has {free / 1e9:.1f} GB free; {recipients:,} recipients need {needed / 1e9:.1f} GB")


def import_into(console: Console, built: Stage, api: Api, who: Population) -> Path:
    """Make the people and import them; returns their file. Nobody has quiet hours, so that nobody is held."""
    fill(
        console,
        api,
        built.people_file,
        recipients=who.recipients,
        seed=who.seed,
        years=who.years,
        has_quiet_hours=False,
    )
    return built.people_file


def kept(console: Console, folder: Path, who: Population, plan: StagePlan, say: Callable[[str], None]) -> Path:
    """Make sure that a folder keeps this population, imported; returns the folder of it.

    What is kept is the store of a stopped engine and the people's lines, a folder for each population.
    """
    home = folder / f"{who.recipients}-{who.seed}-{who.years}"
    marker = home / _MARKER
    if marker.is_file() and json.loads(marker.read_text()) == who._asdict():
        say(f"using the people kept in {home}")
        return home
    with suppress(FileNotFoundError):
        shutil.rmtree(home)
    home.mkdir(parents=True)
    built_in: Path | None = None
    try:
        with (
            stage(plan, is_kept=True, say=say) as built,  # kept beyond its end: the store is written out by then
            Api(built.addresses.api, built.addresses.gateway, built.api_key) as api,
        ):
            built_in = built.folder
            import_into(console, built, api, who)
        shutil.move(built.store_folder, home / _STORE)
        shutil.move(built.people_file, home / _PEOPLE)
    finally:
        if built_in is not None:
            shutil.rmtree(built_in)
    marker.write_text(json.dumps(who._asdict()))
    return home


def store_of(home: Path) -> Path:
    return home / _STORE


def people_of(home: Path) -> Path:
    return home / _PEOPLE
