"""`./klokke test`: format check, lint, types, then every test. Arguments go to pytest: `./klokke test -k roster`."""

from __future__ import annotations

import subprocess
import sys
import time

CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy"]),
)


def main() -> int:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return 0
    started = time.monotonic()
    for name, command in CHECKS:
        print(f"== {name}: {' '.join(command)}", flush=True)
        if subprocess.call([sys.executable, "-m", *command]) != 0:
            print(f"== {name} failed; `.venv/bin/python -m ruff format .` mends the format")
            return 1
    print("== tests: pytest", flush=True)
    code = subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    print(f"== {'green' if code == 0 else 'failed'} after {time.monotonic() - started:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
