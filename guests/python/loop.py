"""A loop in CPython, of as many rounds as the first argument says: what the cost of being interruptible is measured with."""

import sys

from wit_world import exports
from wit_world.imports import environment


class Run(exports.Run):
    def run(self) -> None:
        rounds = int(environment.get_arguments()[1])
        lengths = {}
        longest = (0, 0)
        for start in range(1, rounds):
            n, length = start, 0
            while n not in lengths and n != 1:
                n = n // 2 if n % 2 == 0 else 3 * n + 1
                length += 1
            length += lengths.get(n, 0)
            lengths[start] = length
            longest = max(longest, (length, start))
        print(longest[1])
        sys.stdout.flush()
