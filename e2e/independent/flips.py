#!/usr/bin/python3
"""Tests that the script refuses a ledger in which one byte is another, and names the file.

Usage: flips.py LOG KEY

Of each file of a log in a directory some bytes are flipped, one at a time, in memory.
"""
import sys

import log
from log import Refused

FLIPS = 12  # of each file

class Flipped(log.Files):
    """The files of a directory, read once, of which one is another."""
    def __init__(self, base):
        super().__init__(base)
        self.files = {name: super(Flipped, self).read(name) for name in super().names()}

    def read(self, name):
        return self.files.get(name)

    def names(self):
        return sorted(self.files)

def main(base, key):
    files, flips = Flipped(base), 0
    log.tree(files, key)
    for name, text in list(files.files.items()):
        for n in range(min(FLIPS, len(text))):
            at, bit = len(text) * n // min(FLIPS, len(text)), 1 << n % 8
            files.files[name] = text[:at] + bytes([text[at] ^ bit]) + text[at + 1:]
            try:
                log.tree(files, key)
                sys.exit(f"{name}: byte {at} was flipped, and nobody notices")
            except Refused as why:
                if not str(why).startswith(name + ":"):
                    sys.exit(f"{name}: byte {at} was flipped, and what is said is: {why}")
            flips += 1
        files.files[name] = text
    print(f"{flips} bytes flipped in {len(files.files)} files, one at a time, and each was refused by its file's name")

if __name__ == "__main__":
    main(*sys.argv[1:])
