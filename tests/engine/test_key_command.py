"""`./klokke key`: a key and a block that the configuration takes, or every fault of the arguments and no key."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import msgspec
import pytest

from engine.__main__ import ArgumentsFaulty, service_block
from engine.intake.keys import Scope, Service, digest_of


@pytest.mark.parametrize("tenants", [["*"], ["dk"], ["0101", "0751", "dk"]])
def test_the_block_is_one_that_the_configuration_takes(tenants: list[str]) -> None:
    made, block = service_block("messages-2", tenants, ["events", "ask"])
    (service,) = msgspec.convert(tomllib.loads(block)["service"], list[Service])
    assert (service.name, list(service.tenants)) == ("messages-2", tenants)
    assert service.scopes == (Scope.EVENTS, Scope.ASK)
    assert service.key_sha256 == digest_of(made)
    assert made not in block


@pytest.mark.parametrize(
    ("name", "tenants", "scopes", "words"),
    [
        ("Messages", ["*"], ["ask"], ["name: must be 1 to 40 letters"]),
        ('a"b', ["*"], ["ask"], ["name: must be"]),
        ("a", ["9999"], ["ask"], ["tenants: must be the code of one of the 98"]),
        (
            "a",
            ["0101", "0101"],
            ["ask", "ask"],
            ["tenants: names one of them twice", "scopes: names one of them twice"],
        ),
        ("a", ["*", "0101"], ["ask"], ["tenants: * holds all the others"]),
        ("a", ["*"], ["everything"], ["scopes: must be one of events, directory, inbox, ask"]),
        ("", ["x"], ["y"], ["name:", "tenants:", "scopes:"]),
        ("a", [], [], ["tenants: must not be empty", "scopes: must not be empty"]),
    ],
)
def test_all_faults_of_the_arguments_are_named(
    name: str, tenants: list[str], scopes: list[str], words: list[str]
) -> None:
    with pytest.raises(ArgumentsFaulty) as caught:
        service_block(name, tenants, scopes)
    said = str(caught.value).splitlines()[1:]
    assert len(said) == len(words)
    assert all(word in line for word, line in zip(words, said, strict=True))


def test_the_command_takes_several_tenants_and_ends_with_a_sentence_where_it_must() -> None:
    command = [sys.executable, "-m", "engine", "key"]
    good = subprocess.run([*command, "a", "--tenants", "0101", "dk", "--scopes", "ask"], capture_output=True, text=True)
    empty = subprocess.run([*command, "a", "--tenants"], capture_output=True, text=True)
    assert (empty.returncode, empty.stdout) == (1, "")
    bad = subprocess.run([*command, "A B"], capture_output=True, text=True)
    assert (good.returncode, bad.returncode) == (0, 1)
    assert 'tenants = ["0101", "dk"]\nscopes = ["ask"]\n' in good.stdout
    assert bad.stdout == ""
    assert bad.stderr.startswith("klokke: no key was made:\n  - name: must be")
