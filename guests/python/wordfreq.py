"""Counts words, in CPython: a component made by componentize-py.

Reads the files named as arguments, or standard input without any, and prints the most frequent words, or as JSON with `--json`.
"""

import collections
import heapq  # `Counter.most_common` imports it when called, and only what is imported now is in the component
import json
import re
import sys

from wit_world import exports
from wit_world.imports import environment


class Run(exports.Run):
    def run(self) -> None:
        arguments = environment.get_arguments()[1:]
        as_json = "--json" in arguments
        names = [name for name in arguments if name != "--json"]
        words = collections.Counter()
        for name in names:
            with open(name, encoding="utf-8", errors="replace") as file:
                count(words, file)
        if not names:
            count(words, sys.stdin)
        most = words.most_common(10)
        if as_json:
            print(json.dumps({"python": sys.version.split()[0], "words": dict(most)}))
        else:
            for word, times in most:
                print(f"{times:8} {word}")
        sys.stdout.flush()


def count(words, lines):
    for line in lines:
        words.update(re.findall(r"\w+", line.lower()))
