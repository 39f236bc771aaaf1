#!/usr/bin/python3
"""Computes everything that follows from a ledger's static files, with nothing of repronet's own code.

Usage: replay.py LOG KEY DICTIONARY
LOG is a directory as an aggregator keeps it (DATA/ledger), or the URL of one (…/log), KEY the log's verifier key, and DICTIONARY the file
ledger/statement.dictionary. It checks the checkpoint's signature, every tile and entry, and in a directory every file, reads the entries
under the keys of their places in the ledger, and prints JSON: verdicts and changes as /api/v1/export/ has them, the map, sets, builders,
entries that break their rules, and what it cannot decide (keyless statements; their outputs are in no other list). Written from
docs/formats.md; needs Python 3.9, python3-cryptography and libzstd.so.1 (Debian's libzstd1).
Exit status: 0 all is decided, 3 the ledger is invalid (the file or entry is named), 4 something is undecided, 64 usage.
"""
import base64
import contextlib
import json
import pathlib
import re
import sys
import log
import openpgp
from entries import ECOSYSTEM, FAILED, NEVER, PROJECT, REBUILD, WITHDRAW, Bundle, Narinfo, Roster, Sums, build_name, output_id, output_key
from log import DIGEST, Malformed, Refused, Undecided, check, dump, each, members, parse, sha256

VERDICTS = ("unbuilt", "single", "reproduced", "diverged")
TEXT = "[^\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffd]{0,512}"  # of a member of a package set
MEMBER = {"key": str, "build": str, "output": TEXT, "attribute": TEXT, "version": TEXT, "system": TEXT, "maintainers": list, "inputs": list, "fixed": bool}
METHODS = {"addressed": "attestation", "openpgp-sums": "sums", "signed-sums": "sums", "gitian-assert": "sums", "package-set": "package_set", "map-root": "map_root",
           **{kind: kind for kind in ("attestation", "narinfo", "enrolment", "revocation", "erased", "rules")}}

class Output:  # What is claimed of an output. A claim is (digest, builder, when it was signed: None of a statement, 0 unknown; ambiguous).
    def __init__(self):
        self.claims, self.changes, self.verdict = {}, [], {"verdict": VERDICTS[0], "operators": 0, "digests": 0}
    def judge(self, index):  # Judges the claims after an entry, and notes a change of the verdict.
        counted, latest = [claim for claim, at in self.claims.items() if claim[1].counts(at)], {}
        for _, builder, signed, _ in counted:
            latest[builder] = max(latest.get(builder, 0), signed or 0)
        unclear = {builder for _, builder, signed, ambiguous in counted if ambiguous and signed == latest[builder]}
        stand = {(hashed, builder.operator) for hashed, builder, signed, _ in counted
                 if not signed or signed == latest[builder] and builder not in unclear}
        digests, operators = [hashed for hashed, _ in stand], [operator for _, operator in stand]
        backers, held = sorted(map(digests.count, set(digests))), max(map(operators.count, operators), default=0)
        now = VERDICTS[0 if not stand else 3 if len(backers) > 1 else min(len(operators), 2)]
        if now != self.verdict["verdict"]:
            self.changes.append({"index": index, "from": self.verdict["verdict"], "to": now})
        self.verdict = {"verdict": now, "operators": len(set(operators)), "digests": len(backers)}
        if now == VERDICTS[3]:
            self.verdict["shape"] = "self" if held > 1 else "scatter" if backers[-1] == 1 else "outlier" if len(backers) == 2 and backers[0] == 1 else "split"

class Ledger:  # What follows from the entries so far. Outputs are by ecosystem and key; keys are the map; gone is what entries erase.
    def __init__(self, files, origin, gone):
        self.files, self.origin, self.gone, self.version, self.roster, self.maps = files, origin, gone, 1, Roster(), 0
        self.outputs, self.keys, self.said, self.rings, self.sets, self.unsure, self.refused = {}, {}, set(), {}, {}, {}, []
    def take(self, entry):  # Takes in an entry. One that breaks its rules moves nothing.
        if entry.kind not in METHODS: raise Undecided(f"an entry of kind {entry.kind}")
        if entry.kind in ("enrolment", "revocation", "erased", "rules"):
            self.about(entry, "", ["roster"])
        try:
            getattr(self, METHODS[entry.kind])(entry)
        except Malformed as why:
            self.refused.append({"index": entry.index, "kind": entry.kind, "why": str(why)})
    def about(self, entry, ecosystem, keys):  # Notes in the map which outputs an entry is about.
        for key in set(keys):
            self.keys.setdefault(output_id(ecosystem, key), []).append(entry.index)
    def claim(self, entry, ecosystem, rows, builders):  # Has builders, each with the time that it asserts, claim the digests of rows, and judges.
        for key, digests in rows.items() if builders else ():
            output = self.outputs.setdefault((ecosystem, key), Output())
            for builder, signed in builders:
                builder.outputs[ecosystem, key] = output
                for hashed in digests:
                    output.claims.setdefault((hashed, builder, signed, len(digests) > 1), entry.index)
            output.judge(entry.index)
    def undecided(self, entry, ecosystem, keys, why):
        for key in keys:
            self.unsure.setdefault((ecosystem, key), {"ecosystem": ecosystem, "output": key, "index": entry.index, "why": why})
    def attach(self, name):  # Returns an attachment, None of one that was erased: it was never there.
        return None if name in self.gone else log.attachment(self.files, name)
    def attestation(self, entry):
        bundle = Bundle(entry.body)
        said, subjects = bundle.statement, bundle.statement.subjects
        check((entry.kind == "addressed") == (said.audience is not None), "an audience in the wrong kind of entry, or none")
        outputs = [key for key, _ in subjects] if said.type != FAILED else []
        self.about(entry, said.ecosystem, outputs)
        if bundle.builder is None: return self.undecided(entry, said.ecosystem, outputs, "a keyless statement")
        builder, identity = self.roster.get(bundle.builder), (bundle.builder, sha256(bundle.payload))
        check(builder and builder.key and builder.valid(entry.received), "of no builder whose key is valid")
        check(builder.verifies(bundle.signature, bundle.signed), "not signed by the builder's key")
        check(said.audience is None or self.origin in said.audience, "for other ledgers")
        check(identity not in self.said, "an earlier entry has the same statement")
        self.said.add(identity)
        if said.type == REBUILD:
            self.claim(entry, said.ecosystem, {key: [hashed] for key, hashed in subjects}, [(builder, None)])
        for key, hashed in subjects if said.type == WITHDRAW else ():
            output = self.outputs.get((said.ecosystem, key))
            if output and output.claims.pop((hashed, builder, None, False), None) is not None:
                output.judge(entry.index)
        return None
    def narinfo(self, entry):
        info = Narinfo(entry.body)
        self.about(entry, "nix", [info.path])
        check(info.signatures, "has no signature")
        if not info.address and not (self.version >= 2 and info.by_name):
            self.claim(entry, "nix", {info.path: [info.digest]}, [(builder, 0) for builder in info.signers(self.roster.values(), entry.received)])
    def sums(self, entry):
        sums, signed = Sums(entry, self.attach), {}
        self.about(entry, "release", sums.outputs)
        try:
            ring, enrolled = self.ring(sums.project)
            for fingerprint, created in openpgp.signers(sums.text, sums.signature, sums.most, ring, entry.received):
                builder = enrolled.get(fingerprint)
                if builder and builder.revoked == NEVER:
                    signed[builder] = max(signed.get(builder, 1), created)
        except Undecided as why:
            return self.undecided(entry, "release", sums.outputs, str(why))
        return self.claim(entry, "release", sums.rows, list(signed.items()))
    def ring(self, project):  # Returns the keys that were enrolled for a project, and the builders of its certificates, both by fingerprint.
        named = [(builder, pgp) for builder in self.roster.values() for pgp in builder.certificates if pgp["project"] == project]
        if self.rings.get(project, [0])[0] != len(named):
            ring, enrolled = {}, {}
            for builder, pgp in named:
                try:
                    fingerprint, parts = openpgp.certificate(self.attach(pgp["certificate"]) or b"")
                except Malformed:
                    continue  # it is none, and nobody's
                openpgp.merge(ring.setdefault(fingerprint, {}), parts)
                enrolled.update({fingerprint: builder} if fingerprint == pgp["fingerprint"] else {})
            self.rings[project] = len(named), ring, enrolled
        return self.rings.get(project, (0, {}, {}))[1:]
    def enrolment(self, entry):
        builder, changed = self.roster.enrol(entry.body)
        for name in [pgp["certificate"] for pgp in builder.certificates] + [builder.root] * bool(builder.root):
            self.attach(name)
        self.again(entry, builder, changed)
    def revocation(self, entry):
        self.again(entry, *self.roster.revoke(entry.body, entry.index))
    def again(self, entry, builder, changed):
        for output in builder.outputs.values() if changed else ():
            output.judge(entry.index)
    @staticmethod
    def erased(entry):  # Returns which attachment an entry erased.
        return members(parse(entry.body, null=True), {"attachment": DIGEST}, {"reason": 200})["attachment"]
    def rules(self, entry):
        try:
            version = members(parse(entry.body), {"version": int})["version"]
            self.version = max(self.version, {1: 1, 2: 2}[version])
        except (Malformed, KeyError) as error:
            raise Undecided("rules that are not known here") from error
    def package_set(self, entry):
        said = members(parse(entry.body, null=True), {
            "name": PROJECT, "revision": TEXT.replace("0,512", "1,200"), "ecosystem": ECOSYSTEM, "members": int, "sha256": DIGEST})
        keys, listed = [], [""]
        for line in log.attachment(self.files, said["sha256"]).split(b"\n")[:-1]:
            member = members(parse(line), {"key": str}, MEMBER)
            check(line == dump({name: member[name] for name in MEMBER if member.get(name)}), "a line in another spelling")
            listed.append(member["key"])
            _ = [output_key(said["ecosystem"], key) for key in listed[-1:] + each(str, member.get("inputs", []))]
            _ = "build" in member and build_name(said["ecosystem"], member["build"])
            keys += listed[-1:] * (not member.get("fixed"))
        check(len(keys) == said["members"] and listed == sorted(set(listed)), "another number of members, or not sorted")
        self.outputs.update({(said["ecosystem"], key): Output() for key in keys if (said["ecosystem"], key) not in self.outputs})
        self.sets[said["name"]] = {"name": said["name"], "revision": said["revision"], "index": entry.index, "members": len(keys)}
    def map_root(self, entry):
        said = re.fullmatch(rb'\{"size":([0-9]{1,16}),"leaves":[0-9]+,"root":"[^"]+"(?:,"rules":([0-9]+))?\}', entry.body)
        if said and int(said[2] or 2) > 2: raise Undecided("a map by rules that are not known here")
        if not said or int(said[1]) > entry.index or entry.body != dump(self.map(int(said[1]), int(said[2] or 1))):
            raise Refused(f"entry {entry.index}: commits to another map than that of the entries before it")
        self.maps += 1
    def map(self, size, rules):  # Returns the commitment to the map of the first entries.
        about = {key: [index for index in indices if index < size] for key, indices in self.keys.items()}
        leaves = [sha256(b"\0", key + b"".join(log.varint(b - a) for a, b in zip([0] + indices, indices))) for key, indices in sorted(about.items()) if indices]
        root = {"size": size, "leaves": len(leaves), "root": base64.b64encode(log.merkle(leaves)).decode()}
        return {**root, "rules": rules} if rules > 1 else root
    def document(self, size, root, decided):  # Returns what is printed.
        known = [(name, self.outputs[name]) for name in sorted(self.outputs, key=lambda name: output_id(*name)) if name not in self.unsure]
        named = [({"ecosystem": ecosystem, "output": key}, output) for (ecosystem, key), output in known]
        return {
            "origin": self.origin, "entries": size, "root": base64.b64encode(root).decode(), "decided": decided, "rules": self.version,
            "verdicts": [{**name, **output.verdict} for name, output in named],
            "changes": [{**name, **change} for name, output in named for change in output.changes],
            "map": self.map(decided, self.version), "maps": self.maps, "sets": [self.sets[name] for name in sorted(self.sets)],
            "builders": [{"id": b.id, "operator": b.operator, "tier": b.tier, **({"revokedFrom": b.revoked} if b.revoked < NEVER else {})}
                         for b in self.roster.values()],
            "refused": self.refused, "undecided": [self.unsure[name] for name in sorted(self.unsure)]}
def replay(files, key, dictionary):  # Returns the document about a log.
    origin, size, root, records = log.tree(files, key)
    entries, gone, stop, before = [], set(), None, 0
    try:
        for data in records:
            entries.append(log.Entry(len(entries), data, dictionary))
            check(before <= entries[-1].received, "was received before the one before it")
            before = entries[-1].received
    except Malformed as why:
        raise Refused(f"entry {len(entries)}: {why}") from why
    except Undecided as why:
        stop = str(why)
    for entry in entries:
        with contextlib.suppress(Malformed):
            gone.update([Ledger.erased(entry)] if entry.kind == "erased" else [])
    ledger, decided = Ledger(files, origin, gone), 0
    try:
        for entry in entries:
            ledger.take(entry)
            decided += 1
    except Undecided as why:
        stop = str(why)
    said = ledger.document(size, root, decided)
    said["undecided"] += [{"from": decided, "why": stop}] if stop else []
    return said
def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    try:
        said = replay(log.Files(arguments[0]), arguments[1], pathlib.Path(arguments[2]).read_bytes())
    except Refused as why:
        print(f"replay.py: {why}", file=sys.stderr)
        return 3
    print(json.dumps(said, ensure_ascii=False, indent=1))
    return 4 if said["undecided"] else 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
