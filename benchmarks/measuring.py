"""A process of its own for one repetition of one case: `python -m benchmarks.measuring NAME` prints one line of JSON."""

import asyncio
import logging
import sys

from benchmarks.catalogue import CASES
from benchmarks.given import Given


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    case = {case.name: case for case in CASES}[sys.argv[1]]
    print(asyncio.run(case.measure(Given.from_environment())).to_json())


if __name__ == "__main__":
    main()
