#!/usr/bin/python3
"""Tests the script's verdicts with the conformance vectors, divergence/testdata/verdicts.txt, which say how to read them.

Usage: vectors.py FILE
"""
import sys

from replay import Output
from entries import NEVER, Builder

def entry(words, builders, output, index):
    """Takes an entry of a case in."""
    kind, name, rest = words[0], words[1], words[2:]
    if kind == "enrol":
        builder = builders.setdefault(name, Builder(name, rest[0]))
        builder.tier = rest[1]
    elif kind == "revoke":
        builders[name].revoked = min(builders[name].revoked, int(rest[0]), index, NEVER)
    elif kind == "claim":
        output.claims.setdefault((rest[0], builders[name], None, False), index)
    elif kind == "withdraw":
        output.claims.pop((rest[0], builders[name], None, False), None)
    elif kind == "document":
        for hashed in rest[1:]:
            output.claims.setdefault((hashed, builders[name], int(rest[0]), len(rest) > 2), index)
    else:
        sys.exit(f"{kind} is not known")
    output.judge(index)

def main(file):
    expected, case = 0, ""
    with open(file, encoding="utf-8") as lines:
        for words in (line.split() for line in lines if line.strip() and line[0] != "#"):
            if words[0] == "case":
                case, builders, output, index = " ".join(words[1:]), {}, Output(), 0
            elif words[0] == "expect":
                got = [output.verdict["verdict"], str(output.verdict["operators"]), str(output.verdict["digests"])]
                got += [output.verdict["shape"]] if "shape" in output.verdict else []
                if got != words[1:len(got) + 1] or len(words) > len(got) + 2:  # the last says how the inputs compare
                    sys.exit(f"{case}: {got}, and expected is {words[1:]}")
                expected += 1
            else:
                entry(words, builders, output, index)
                index += 1
    if not expected:
        sys.exit("nothing was expected")
    print(f"{expected} verdicts are as expected")

if __name__ == "__main__":
    main(*sys.argv[1:])
