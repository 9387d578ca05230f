"""Another process that announces a word: `python announcer.py URL PREFIX WORD`."""

import asyncio
import sys

from detent_redis import RedisSignals


async def main(url: str, prefix: str, word: str) -> None:
    signals = RedisSignals(url, prefix=prefix)
    signals.announce([word])
    await signals.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
