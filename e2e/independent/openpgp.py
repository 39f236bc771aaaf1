"""Judges OpenPGP signatures of version 4 (RFC 9580) over texts."""
import hashlib
import re
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from log import Malformed, Undecided, check, unbase64

HASHES = {2: hashes.SHA1, 8: hashes.SHA256, 9: hashes.SHA384, 10: hashes.SHA512, 11: hashes.SHA224, 12: hashes.SHA3_256, 14: hashes.SHA3_512}
CURVES = {"2a8648ce3d030107": ec.SECP256R1, "2b81040022": ec.SECP384R1, "2b81040023": ec.SECP521R1, "2b8104000a": ec.SECP256K1}
RSA, ECDSA, EDDSA = (1, 3), 19, 22
DIRECT, REVOKED, BINDING, UNBINDING, BACK, UNCERTIFIED, CERTIFIED = 31, 32, 24, 40, 25, 48, range(16, 20)
KNOWN = (2, 3, 4, 5, 6, 9, 11, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 39)  # subpackets that may be critical: no notations

class Reader:  # Takes bytes from the front of a packet.
    def __init__(self, data):
        self.data = data
    def take(self, size):
        check(size <= len(self.data), "a packet is cut off")
        taken, self.data = self.data[:size], self.data[size:]
        return taken
    def number(self, size=1):
        return int.from_bytes(self.take(size), "big")
    def mpi(self):
        return self.number((self.number(2) + 7) // 8)
    def sized(self, parts=255):  # Takes what follows its length, of a packet or of a subpacket.
        size = self.number()
        if parts <= size < 255: raise Undecided("a packet in parts")
        return self.take(size if size < 192 else (size - 192 << 8) + self.number() + 192 if size < 255 else self.number(4))
def packets(data, kind):  # Returns tag and body of each packet of an armored or binary file.
    if data[:1] < b"\x80":
        blocks, data = data.split(f"-----BEGIN {kind}-----".encode())[1:], b""
        check(blocks, f"has no block of a {kind}")
        for block in blocks:
            lines = [line.strip() for line in block.split(f"-----END {kind}-----".encode())[0].split(b"\n")]
            check(b"-----END" in block and b"" in lines[1:], "the armor is cut off")
            data += unbase64(b"".join(line for line in lines[lines.index(b"", 1):] if line[:1] != b"=").decode("latin-1"))
    reader, found = Reader(data), []
    while reader.data:
        first = reader.number()
        check(first & 128 and first & 67 != 3, "no packet with a length begins where one should")
        found.append((first & 63, reader.sized(224)) if first & 64 else (first >> 2 & 15, reader.take(reader.number(1 << (first & 3)))))
    check(found, "no packets")
    return found

class Key:  # A public key of version 4. Strong is false for one whose signatures never count.
    def __init__(self, body):
        reader = Reader(body)
        version, self.created, self.algorithm = reader.number(), reader.number(4), reader.number()
        if version != 4: raise Undecided(f"a key of version {version}")
        self.hashed = b"\x99" + len(body).to_bytes(2, "big") + body
        self.fingerprint = hashlib.sha1(self.hashed).hexdigest()
        self.public, self.strong = None, self.algorithm in (*RSA, ECDSA, EDDSA, 27, 28)
        try:
            if self.algorithm in RSA:
                modulus, exponent = reader.mpi(), reader.mpi()
                self.strong = 2048 <= modulus.bit_length() <= 8192
                self.public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            elif self.algorithm in (ECDSA, EDDSA):
                curve, point = reader.take(reader.number()).hex(), reader.take((reader.number(2) + 7) // 8)
                if self.algorithm == ECDSA:
                    self.public = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve](), point)
                elif curve == "2b06010401da470f01":
                    self.public = ed25519.Ed25519PublicKey.from_public_bytes(point[1:])
        except (ValueError, KeyError):
            pass  # whatever it signs is undecided
    def verifies(self, signature, data):  # Whether the key made a signature over bytes, which the signature's own bytes follow.
        if signature.algorithm != self.algorithm: return False
        if not self.public: raise Undecided(f"a signature by the key {self.fingerprint}, of a kind that this script does not check")
        kind, reader = HASHES[signature.hash](), Reader(signature.rest)
        hashed = hashlib.new(kind.name.replace("-", "_"), data + signature.hashed + b"\4\xff" + len(signature.hashed).to_bytes(4, "big")).digest()
        try:
            if self.algorithm in RSA:
                self.public.verify(reader.mpi().to_bytes((self.public.key_size + 7) // 8, "big"), hashed, padding.PKCS1v15(), Prehashed(kind))
            elif self.algorithm == EDDSA:
                self.public.verify(b"".join(reader.mpi().to_bytes(32, "big") for _ in "rs"), hashed)
            else:
                self.public.verify(encode_dss_signature(reader.mpi(), reader.mpi()), hashed, ec.ECDSA(Prehashed(kind)))
            return True
        except (InvalidSignature, ValueError, OverflowError, Malformed):
            return False

class Signature:  # A signature packet; usable is false for one that is nobody's word: of another version or hash, or with what is critical and unknown.
    def __init__(self, body):
        reader = Reader(body)
        version, self.type, self.algorithm, self.hash = (reader.number() for _ in range(4))
        self.usable = version == 4 and self.hash in HASHES
        if not self.usable: return
        hashed, unhashed = reader.take(reader.number(2)), reader.take(reader.number(2))
        self.hashed, self.rest, self.issuer, self.embedded, said = body[:6 + len(hashed)], reader.data[2:], None, None, {}
        for inner, area in ((Reader(hashed), said), (Reader(unhashed), {})):
            while inner.data:
                content = inner.sized()
                check(content, "an empty subpacket")
                kind, data = content[0] & 127, content[1:]
                area[kind] = data
                self.issuer = data[-8:].hex() if kind in (16, 33) else self.issuer
                self.embedded = Signature(data) if kind == 32 else self.embedded
                self.usable &= area is not said or not (content[0] > 127 and kind not in KNOWN or kind == 4 and data[:1] == b"\0")
        check(2 in said, "a signature without a time")
        self.created, self.life, self.key_life = (int.from_bytes(said.get(kind, b""), "big") for kind in (2, 3, 9))
        self.signs, self.reason = None if 27 not in said else bool((said[27] or b"\0")[0] & 2), said.get(29, b"")[:1]

class Part:  # A key that may sign documents: until when, by the signature that says so, and how it was revoked.
    def __init__(self, key, bound, revoked, most=1 << 62):
        ends = [start + life for start, life in ((key.created, bound.key_life), (bound.created, bound.life)) if life]
        self.key, self.bound, self.expires, self.revoked = key, bound.created, min(ends + [most]), revoked
    def counts(self, signature, received):  # Whether a signature that verifies does count, by the time that it gives itself.
        at, over = signature.created, signature.created + (signature.life or 1 << 62)
        return (not any(hard or at >= since for hard, since in self.revoked) and self.key.created <= at < self.expires
                and 1000 * at <= received + 900000 and (received // 1000 <= over or 1000 * at >= received))
def revocations(signatures, kind, key, data):  # Returns of each revocation whether it holds for what was signed before, and from when on it does.
    return [(s.reason not in (b"\1", b"\3", b"\x20"), s.created) for s in signatures if s.type == kind and key.verifies(s, data)]
def latest(signatures, valid):  # Returns of the valid ones the latest, and of those of one second the last.
    return max((s for s in reversed(signatures) if valid(s)), key=lambda s: s.created, default=None)
def certificate(data):  # Returns the fingerprint of a certificate, and its keys that may sign documents.
    groups, ids = [], {}  # what is signed, and the signatures behind it
    for tag, body in packets(data, "PGP PUBLIC KEY BLOCK"):
        check(bool(groups) == (tag != 6) and tag not in (5, 7), "not one certificate")
        groups += [(tag, body, [])] * (tag != 2)
        groups[-1][2].extend(s for s in (map(Signature, [body]) if tag == 2 else ()) if s.usable)
    primary, mine = Key(groups[0][1]), [s for tag, _, signatures in groups if tag not in (13, 14) for s in signatures]
    best = latest(mine, lambda s: s.type == DIRECT and primary.verifies(s, primary.hashed))
    for tag, body, signatures in groups:
        own = [s for s in signatures if s.issuer == primary.fingerprint[-16:] and (s.type in CERTIFIED or s.type == UNCERTIFIED)]
        ids.update({body: own} if tag == 13 and own else {})
    for name in sorted(ids):
        data = primary.hashed + b"\xb4" + len(name).to_bytes(4, "big") + name
        own = [s for s in ids[name] if primary.verifies(s, data)]
        s = latest(own, lambda s: s.type in CERTIFIED)
        if s and not any(r.type == UNCERTIFIED and r.created >= s.created for r in own) and (best is None or s.created > best.created):
            best = s
    check(ids and best, "no user ID is certified by its own key, or no self-signature is valid")
    base = Part(primary, best, revocations(mine, REVOKED, primary, primary.hashed))
    parts = [base] * bool(primary.strong and best.signs is not False)
    for sub, signatures in [(Key(body), signatures) for tag, body, signatures in groups if tag == 14 and body[:1] == b"\4"]:
        both = primary.hashed + sub.hashed
        s = latest(signatures, lambda s, sub=sub, both=both: s.type == BINDING and primary.verifies(s, both) and (
            not s.signs or s.embedded and s.embedded.usable and s.embedded.type == BACK and sub.verifies(s.embedded, both)))
        if s and s.signs and sub.strong:
            parts.append(Part(sub, s, base.revoked + revocations(signatures, UNBINDING, primary, both), base.expires))
    return primary.fingerprint, parts
def merge(known, parts):  # Takes another edition of a certificate in: of each key the latest self-signature, and all revocations.
    for part in parts:
        old = known.setdefault(part.key.fingerprint, part)
        if part.bound > old.bound:
            old.bound, old.expires = part.bound, part.expires
        old.revoked = old.revoked + part.revoked
def signers(text, signature, most, ring, received):  # Returns the certificates that signed a text so that it counts, and when each says that it did.
    found, counted = packets(signature, "PGP SIGNATURE"), []
    check(len(found) <= most and all(tag == 2 for tag, _ in found), f"not 1 to {most} signatures")
    for s in (s for s in [Signature(body) for _, body in found] if s.usable and s.type in (0, 1) and s.hash != 2):
        data = re.sub(rb"\r.|\n", lambda m: b"\r\n" if m[0] == b"\n" else m[0], text, flags=re.S) if s.type else text
        counted += [(fingerprint, s.created) for fingerprint, parts in ring.items() for part in parts.values()
                    if part.key.fingerprint[-16:] == s.issuer and part.key.verifies(s, data) and part.counts(s, received)]
    return counted
