"""People, groups and planes in the store (port: `engine.ports.Directory`). Joined in `engine/composition.py`.

store_directory  `StoreDirectory`, the port
reads            rosters, planes, endpoints, people
apply, check     lines -> references resolved, faults named, one batch written
commit           the only writer of blocks: versions, debts, claims of tokens, repair after a crash
draft            what one write of one block changes
mutations, lanes the ways a card changes, pure; which address stands in which slot
addresses        a device as the endpoint hashes keep it, and back
card             a person as it is stored; which planes and rosters follow
family           letters from a child's card to its guardians' cards
index            ids to numbers, tokens to digests
catalogue        institutions, groups, strategies
journal          what changed since a stamp
imports, ndjson  an import over HTTP: bytes to lines, progress, resuming
keys, spread     every key; many small script calls as one per hash tag
"""

from queueing.directory.store_directory import StoreDirectory

__all__ = ["StoreDirectory"]
