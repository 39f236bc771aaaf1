"""What entries say, and who may say it: statements of builders, files of Nix caches, texts of checksums, and enrolments."""
import contextlib
import datetime
import re
from base64 import b32encode
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from log import DIGEST, Malformed, Undecided, check, dump, each, members, parse, sha256, unbase64

REBUILD, FAILED, WITHDRAW = (f"https://repronet.dev/{name}/v1" for name in ("rebuild", "build-failed", "withdraw"))
TRAITS = "buildDir compiler cores cpu filesystem go kernel locale nix os sandbox system trimpath tz umask".split()
STORES, DIGITS = {"nix": "/nix/store/", "guix": "/gnu/store/"}, "0123456789abcdfghijklmnpqrsvwxyz"  # of Nix's base 32
ECOSYSTEM, PROJECT, KEY_NAME, ORIGIN = "[a-z][a-z0-9-]{0,31}", "[a-z0-9][a-z0-9._-]{0,63}", "[!-9;-~]{1,128}", "[A-Za-z0-9][A-Za-z0-9._~:/-]{0,254}"
NEVER = 1 << 64  # the index from which a builder is revoked that is not
def store_name(ecosystem, name):  # what follows the hash of a store path, or names an output
    check(re.fullmatch(r"[0-9A-Za-z+\-._?=]{1,211}", name), f"{name!r:.40} is no name in a store")
    check(name.split("-")[0] not in (".", "..") if ecosystem == "nix" else name[0] != ".", "a name of dots")
def store_path(ecosystem, path):
    found = re.fullmatch(STORES[ecosystem] + f"[{DIGITS}]{{32}}-(.*)", path, re.S)
    check(found, f"{path!r:.80} is no store path")
    store_name(ecosystem, found[1])
def cut(ecosystem, key):  # Parts an output's key into the build, and the output's name, None where the key names no build.
    at = -1 if ecosystem == "release" else key.find("^", 0 if ecosystem in STORES else key.rfind("/") + 1)
    return (key, None) if at < 0 else (key[:at], key[at + 1:])
def build_name(ecosystem, name):
    check(len(name.encode()) <= 512, "a name of more than 512 bytes")
    if ecosystem in STORES:
        check(name.endswith(".drv"), "a build is named by its derivation")
        return store_path(ecosystem, name)
    release, segments = ecosystem == "release", name.split("/")
    check(re.fullmatch(r"[0-9A-Za-z/.\-_+~@:=,^" + re.escape(" ()[]{}!#%&';" * release) + "]+", name), f"{name!r:.40} has other characters")
    check(not {"", ".", ".."} & set(segments) and all(part.strip(" ") == part for part in segments), "a segment that is none")
    check(release or "^" not in segments[-1], "a ^ that would end the name of the build")
    return check(ecosystem != "generic" or re.match("[a-z0-9][a-z0-9-]{0,39}/", name), "does not begin with an operator")
def output_key(ecosystem, key):
    build, output = cut(ecosystem, key)
    if output is None and ecosystem in STORES: return store_path(ecosystem, key)
    check(output is not None or "/" in key, "neither <build>^<output> nor <project>/<file>")
    check(output is None or re.fullmatch(r"[0-9a-zA-Z_][0-9a-zA-Z+\-._~:^@]{0,254}", output) or ecosystem in STORES, "not the name of an output")
    if ecosystem in STORES:
        store_name(ecosystem, output)
    return build_name(ecosystem, build)
def output_id(ecosystem, key):
    return sha256(ecosystem.encode(), b"\0", key.encode())[:20]
def instant(text, first=1, last=9999):  # Returns a time of RFC 3339, in those years, that can be compared: seconds since 1970, and nanoseconds.
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text, re.A)
    time = None
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        time = datetime.datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    check(time and first <= time.year <= last, f"no time of the years {first} to {last}")
    return int(time.timestamp()), int(((found[2] or "") + 9 * "0")[:9])

class Statement:  # What a payload says: its type, and the outputs with digests.
    def __init__(self, payload):
        check(len(payload) <= 2 << 20, "more than 2 MiB")
        top = members(parse(payload), {"_type": "https://in-toto[.]io/Statement/v1", "subject": list, "predicate": dict,
                                       "predicateType": f"{REBUILD}|{FAILED}|{WITHDRAW}"})
        said = members(top["predicate"], {"ecosystem": ECOSYSTEM, "digestKind": "nar|file"}, {
            "stream": "[0-9a-f]{32}|", "sequence": int, "previous": DIGEST, "skipped": list, "environment": dict, "audience": list, "builds": list, "reason": 512})
        self.type, self.ecosystem, self.audience, self.owned = top["predicateType"], said["ecosystem"], said.get("audience"), set()
        self.subjects = [(s["name"], members(s["digest"], {"sha256": DIGEST})["sha256"])
                         for s in (members(s, {"name": str, "digest": dict}) for s in top["subject"])]
        check(1 <= len(self.subjects) <= 4096 and len(dict(self.subjects)) == len(self.subjects), "not 1 to 4,096 names, each once")
        _ = [(build_name if self.type == FAILED else output_key)(self.ecosystem, name) for name, _ in self.subjects]
        sequence, skipped = said.get("sequence", 0), each(DIGEST, said.get("skipped", []))
        chained = said.get("stream") and 0 <= sequence <= 1 << 53 and len(skipped) <= 64 or not sequence and not skipped
        check(chained and bool(sequence) == ("previous" in said), "no place in a stream")
        members(said.get("environment", {}), {}, dict.fromkeys(TRAITS, 128))
        check(self.audience is None or 1 <= len(set(each(ORIGIN, self.audience))) == len(self.audience) <= 16, "not 1 to 16 origins, each once")
        check(not said.get("builds" if self.type == WITHDRAW else "reason"), "a withdrawal with builds, or a reason of another")
        for build in said.get("builds", []):
            self.build(members(build, {"name": str, "outputs": list, "finishedOn": str, "occasion": "build|rebuild"}, {
                "startedOn": str, "inputsDigest": DIGEST, "failure": 512}))
        check(self.type == WITHDRAW or len(self.owned) == len(self.subjects), "a subject belongs to no build")
    def build(self, build):
        build_name(self.ecosystem, build["name"])
        for place in each(int, build["outputs"]):
            check(0 <= place < len(self.subjects) and place not in self.owned, "an output of no or two builds")
            self.owned.add(place)
            name, output = cut(self.ecosystem, self.subjects[place][0])
            check(name == build["name"] or self.type != FAILED and output is None, "an output of another build")
        finished = instant(build["finishedOn"], 1990, 2200)
        check("startedOn" not in build or instant(build["startedOn"], 1990, 2200) <= finished, "ended before it began")
        check(build["outputs"] and bool(build.get("failure")) == (self.type == FAILED), "no outputs, no failure, or one of what did not fail")
def builder_id(hashed):  # Returns the ID of the builder whose key, or what stands in its place, has a SHA-256.
    return b32encode(hashed[:20]).decode().lower()

class Bundle:  # A bundle whose form is right: its builder, None of a keyless one, the payload, what was signed and the signature.
    def __init__(self, body):
        top = parse(body, null=True)
        try:  # protojson has other spellings, which only a reader of protobuf can tell from what is none
            members(top, {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3[+]json", "verificationMaterial": dict, "dsseEnvelope": dict})
            envelope = members(top["dsseEnvelope"], {"payload": str, "payloadType": "application/vnd.in-toto[+]json", "signatures": list})
            [signature] = envelope["signatures"]
            payload, self.signature, self.builder = unbase64(envelope["payload"]), unbase64(members(signature, {"sig": str})["sig"]), None
            if "certificate" not in top["verificationMaterial"]:
                hint = members(members(top["verificationMaterial"], {"publicKey": dict})["publicKey"], {"hint": "[A-Za-z0-9+/]{43}="})["hint"]
                self.builder = builder_id(unbase64(hint))
        except (Malformed, ValueError) as error:
            raise Undecided(f"a bundle in another spelling: {error}") from error
        self.statement, self.payload = Statement(payload), payload
        self.signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
def base32(data):
    value = int.from_bytes(data, "little")
    return "".join(DIGITS[value >> 5 * n & 31] for n in reversed(range((len(data) * 8 + 4) // 5)))
def nar_hash(text):  # Returns a SHA-256 in one of the spellings that Nix has.
    found = re.fullmatch(f"sha256:(?:([0-9a-f]{{64}})|([{DIGITS}]{{52}})|(.{{44}}))|sha256-(.{{44}})", text)
    value = sum(DIGITS.index(c) << 5 * n for n, c in enumerate(reversed(found[2] or ""))) if found else 0
    check(found and value < 1 << 256, "no SHA-256 as Nix writes it")
    return bytes.fromhex(found[1]) if found[1] else value.to_bytes(32, "little") if found[2] else unbase64(found[3] or found[4])

class Narinfo:  # The signed content of a .narinfo: the store path, its NAR hash, and who signed.
    def __init__(self, body):
        fields, self.signatures = {}, []
        for line in body.decode("latin-1").removesuffix("\n").split("\n"):
            found = re.fullmatch("([A-Za-z][A-Za-z0-9-]{0,63}):(?: (.*))?", line, re.S)
            check(found and (found[1] == "Sig" or found[1] not in fields), "a line is no field, or one occurs twice")
            fields[found[1]] = found[2] or ""
            if found[1] == "Sig":
                name, _, text = fields["Sig"].partition(":")
                self.signatures.append((name, unbase64(text)))
                check(re.fullmatch(KEY_NAME, name) and len(self.signatures[-1][1]) == 64 and len(self.signatures) <= 16, "a signature is malformed")
        check(len(body) <= 1 << 20 and {"StorePath", "NarHash", "NarSize"} <= fields.keys(), "too large, or a field is missing")
        self.path, size, hashed = fields["StorePath"], fields["NarSize"], nar_hash(fields["NarHash"])
        check(any(hashed) and re.fullmatch("[1-9][0-9]{0,18}", size) and int(size) < 1 << 63, "no hash or size")
        references = ["/nix/store/" + name for name in sorted(fields.get("References", "").split(" ")) if fields.get("References")]
        check(len(set(references)) == len(references) <= 16384, "references that occur twice, or too many")
        _ = [store_path("nix", path) for path in [self.path] + references]
        self.digest, self.address = hashed.hex(), fields.get("CA")
        self.signed = f"1;{self.path};sha256:{base32(hashed)};{size};{','.join(references)}".encode()
        made = sha256(":".join(["source", *references, "sha256", self.digest, "/nix/store", self.path[44:]]).encode())
        folded = bytes(made[i] ^ (made[20 + i] if i < 12 else 0) for i in range(20))
        self.by_name = self.path not in references and self.path[11:43] == base32(folded)
    def signers(self, builders, received):  # Returns the builders whose signatures count.
        return [builder for builder in builders if isinstance(builder.key, ed25519.Ed25519PublicKey) and builder.valid(received) and any(
            name == builder.cache and builder.verifies(signature, self.signed) for name, signature in self.signatures)]
def narrow(project, text):  # Returns the digests by output of a text of openpgp-sums, whose reading never changes.
    found = {}
    for line in text.split(b"\n")[:4096]:
        row = re.fullmatch(f"({DIGEST}) [ *](.+)", line.decode("latin-1").rstrip(" \t\r"))
        output = f"{project}/{row[2]}" if row else ""
        if re.fullmatch(r"[0-9A-Za-z/.\-_+~@:=,]{1,512}", output) and not {"", ".", ".."} & set(output.split("/")):
            found.setdefault(output, {})[row[1]] = None
    return found
def wide(project, text):  # Returns the digests by output of a text, as sha256sum -c reads it.
    found, rows = {}, [line.decode("latin-1").strip(" \t\r") for line in text.split(b"\n")]
    for row in [row for row in rows if row and row[0] != "#"][:8192]:
        with contextlib.suppress(Malformed):
            plain = row.removeprefix("\\")
            match = re.fullmatch("([0-9A-Fa-f]+)[ \t](?:[ *](?=.))?(.+)", plain, re.S)
            tagged = match or re.fullmatch(r"(?i:SHA256) ?\((.*)\)[ \t]*=[ \t]*([0-9A-Fa-f]+)", plain, re.S)
            check(tagged and len(row) <= 4096, "not a row")
            hashed, name = tagged.groups() if match else tagged.groups()[::-1]
            if plain != row:
                check(re.fullmatch(r"(?:[^\\]|\\[\\nr])*", name, re.S), "an escape that sha256sum does not write")
                name = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), name)
            output = f"{project}/" + re.sub(r"^(\./)+", "", name)
            check("^" not in name and re.fullmatch(DIGEST, hashed.lower()), "a ^ in a name, or no digest")
            output_key("release", output)
            found.setdefault(output, {})[hashed.lower()] = None
    check(found, "no row can be read, so that it says nothing of any output")
    return found
def gitian(project, text):  # Returns the digests by output of an assertion, if it is written as gitian-builder writes YAML.
    said, name = {}, None  # by name: how the value is written, and its lines
    for line in text.decode("utf-8", "replace").split("\n"):
        found = re.fullmatch(r"(?:- )?([a-z_]+): *(\|[-+]?|!!omap|[A-Za-z0-9][A-Za-z0-9._+ -]*|'[^'\\]*'|\x22[^\x22\\]*\x22|)", line)
        if found and found[1] not in said:
            name, said[found[1]] = found[1], (found[2], [])
        elif name and line[:2] == "  " and said[name][0][:1] in ("|", "!", ""):
            said[name][1].append(line.strip())
        elif line.strip() and not re.fullmatch("---( !!omap)?|[.]{3}", line):
            raise Undecided("YAML that this script does not read")
    check({"name", "out_manifest", "in_manifest"} <= said.keys(), "a member is missing")
    descriptor, made, lines = said["name"][0].strip("' \""), said["out_manifest"], said["in_manifest"]
    if made[0][:1] != "|" or lines[0][:1] != "|": raise Undecided("YAML that this script does not read")
    commits = sorted(found.groups()[::-1] for line in lines[1] if (found := re.fullmatch(r"git:([0-9a-f]{40}|[0-9a-f]{64})[ \t]+(\S.*)", line)))
    check(descriptor and not set("/@^|!") & set(descriptor) and len(commits) <= 8, "no descriptor's name, or more than 8 commits")
    sources = "+".join(commit for _, commit in commits) or "inputs-" + sha256(*[f"{line}\n".encode() for line in sorted({*lines[1], ""})]).hex()[:40]
    return wide(f"{project}/{descriptor}@{sources}", "\n".join(made[1]).encode())

class Sums:  # A text with OpenPGP signatures: the outputs that it names, and, where it is there, their digests.
    def __init__(self, entry, attach):
        old, (line, _, rest) = entry.kind == "openpgp-sums", entry.body.partition(b"\n")
        size, line, read = (str, entry.body, narrow) if old else (int, line, wide if entry.kind == "signed-sums" else gitian)
        said = members(parse(line), {"project": PROJECT, "text": size, "signature": size}, {} if old else {"attachment": DIGEST, "outputs": list})
        spelled = dump({name: said[name] for name in ("project", "text", "signature", "attachment", "outputs") if name in said})
        check(spelled == line and ("outputs" in said) == ("attachment" in said), "not in the one spelling")
        inside = 0 if old or "attachment" in said else said["text"]
        self.text, self.signature = (unbase64(said["text"]), unbase64(said["signature"])) if old else (rest[:inside], rest[inside:])
        length, self.project, self.most = len(self.text) if old or inside else said["text"], said["project"], 16 if old else 64
        check(old or (length, len(self.signature)) == (said["text"], said["signature"]), "of another length")
        check(0 < length <= (512 if old else 1024) << 10 and 0 < len(self.signature) <= (64 if old else 128) << 10, "empty, or too large")
        if "attachment" not in said:
            self.rows = read(self.project, self.text)
            self.outputs = list(self.rows)
            return
        self.outputs, self.rows = [f"{self.project}/{name}" for name in each(str, said["outputs"])], {}
        check(self.outputs == sorted(set(self.outputs)) and 1 <= len(self.outputs) <= 8192, "outputs that are not sorted")
        _ = [output_key("release", output) for output in self.outputs]
        self.text = attach(said["attachment"]) or b""
        with contextlib.suppress(Malformed):  # it is no evidence then
            rows = read(self.project, self.text) if len(self.text) == length else {}
            self.rows = rows if sorted(rows) == self.outputs else {}

class Builder:  # What the ledger says of a builder. Its statements at the index revoked and later do not count.
    def __init__(self, name, operator):
        self.id, self.operator, self.revoked, self.cache, self.certificates, self.outputs = name, operator, NEVER, None, [], {}
    def counts(self, index):
        return self.tier == "counted" and index < self.revoked
    def valid(self, received):  # Whether the key may sign what was received at a time in milliseconds, and no revocation is before.
        return self.revoked == NEVER and self.begin <= (received // 1000, received % 1000 * 1000000) <= self.end
    def verifies(self, signature, data):
        with contextlib.suppress(InvalidSignature):
            return self.key.verify(signature, data, *[ec.ECDSA(SHA256())] * isinstance(self.key, ec.EllipticCurvePublicKey)) is None
        return False
def public_key(text):  # Returns a public key, and its builder.
    try:
        key = load_der_public_key(unbase64(text))
        assert isinstance(key, ed25519.Ed25519PublicKey) or isinstance(key.curve, ec.SECP256R1)
    except (ValueError, UnsupportedAlgorithm, AttributeError, AssertionError) as error:
        raise Malformed("neither Ed25519 nor ECDSA on P-256") from error
    return key, builder_id(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))

class Roster(dict):  # The builders by their IDs, in the order of their first enrolments.
    def enrol(self, body):  # Takes in an enrolment. Returns the builder, and whether what it said before may count otherwise now.
        said = members(parse(body, null=True), {"builder": str, "operator": "[a-z0-9][a-z0-9-]{0,39}", "tier": "counted|open"}, {
            "publicKey": ".+", "nixName": f"({KEY_NAME})?", "openpgp": dict, "keyless": dict, "notBefore": str, "notAfter": str, "replaces": str,
            "endorsement": DIGEST})
        begin, end = instant(said.get("notBefore", "0001-01-01T00:00:00Z")), instant(said.get("notAfter", "9999-12-31T23:59:59Z"))
        check(begin < end and ("publicKey" in said) + ("openpgp" in said) + ("keyless" in said) == 1, "no time, or no one of publicKey, openpgp and keyless")
        key = pgp = root = None
        if "openpgp" in said:
            pgp = members(said["openpgp"], {"fingerprint": "(?:[0-9a-f]{24})?[0-9a-f]{40}", "project": PROJECT, "certificate": DIGEST})
            builder = builder_id(sha256(b"openpgp:", pgp["fingerprint"].encode()))
        elif "keyless" in said:
            keyless = members(said["keyless"], {"rule": dict, "trustedRoot": DIGEST})
            rule, root = members(keyless["rule"], {"issuer": 500, "subject": r"\^?https://.*"}, {"repository": 500}), keyless["trustedRoot"]
            builder = builder_id(sha256("sigstore:{}\n{}\n{}".format(rule["issuer"], rule["subject"], rule.get("repository", "")).encode()))
        else:
            key, builder = public_key(said["publicKey"])
        check(builder == said["builder"] and (key or not said.get("nixName")), "the key is another builder's, or signs no narinfo")
        check(not pgp or not {"notBefore", "notAfter"} & said.keys(), "a certificate says itself when it is valid")
        known, older = self.get(builder), self.get(said.get("replaces"))
        check(not known or known.operator == said["operator"] and known.revoked == NEVER, "of another operator, or revoked")
        check(not said.get("replaces") or key and older and older is not known and older.operator == said["operator"] and older.revoked == NEVER, "replaces none")
        now, changed = known or self.setdefault(builder, Builder(builder, said["operator"])), known and known.tier != said["tier"]
        now.tier, now.key, now.begin, now.end, now.root, now.cache = said["tier"], key, begin, end, root, said.get("nixName") or now.cache
        now.certificates += [pgp] * (pgp is not None and pgp not in now.certificates)
        return now, changed
    def revoke(self, body, index):  # Takes in a revocation. Returns the builder, and whether claims of it cease to count.
        said = members(parse(body, null=True), {"builder": str, "from": int}, {"reason": 200})
        builder, start = self.get(said["builder"]), min(said["from"], index)
        check(builder and 0 <= said["from"] < NEVER, "of no builder, or from nowhere")
        changed, builder.revoked = start < builder.revoked, min(start, builder.revoked)
        return builder, changed
