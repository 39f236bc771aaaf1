"""Reads a C2SP tlog-tiles log of static files, and believes only what its signed checkpoint commits to."""
import base64
import ctypes
import hashlib
import json
import os
import re
import urllib.request
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DIGEST, MOST, BODY = "(?!0{64})[0-9a-f]{64}", 1 << 30, 4 << 20  # a SHA-256, and bytes of a file, and of an entry's body
class Refused(Exception): pass  # The ledger is not one history under its key, or lacks something: the text names the file or entry.
class Malformed(Exception): pass  # An entry breaks its rules: it moves nothing, for every reader.
class Undecided(Exception): pass  # This script cannot tell what an entry says, which is no finding against anybody.
def check(holds, why):
    if not holds: raise Malformed(why)
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def parse(data, null=False):  # Returns a JSON document of UTF-8, without floats, whose members occur once. With null, that is an absent member.
    def unique(pairs):
        check(len(dict(pairs)) == len(pairs), "a member occurs twice")
        check(null or all(value is not None for _, value in pairs), "null has no place here")
        return {name: value for name, value in pairs if value is not None}
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_float=int, parse_constant=int)
        return dump(value) and value  # halves of surrogate pairs are no UTF-8
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
def dump(value):  # Returns JSON without white space, as the formats that have one spelling are written.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
def members(value, need, may=None):  # Returns an object with these members, each of a kind: type, pattern of a text, greatest size of free text.
    kinds = {**need, **(may or {})}
    check(type(value) is dict and need.keys() <= value.keys() <= kinds.keys(), f"not an object with {list(need)}, or with more")
    for name, member in value.items():
        kind, text = kinds[name], member if type(member) is str else None
        if type(kind) is int:
            fits = text is not None and len(text.encode()) <= kind and text.isprintable() and "\ufffd" not in text
        else:
            fits = text is not None and re.fullmatch(kind, text, re.S) if type(kind) is str else type(member) is kind
        check(fits, f"member {name!r:.40} is not what it has to be")
    return value
def each(kind, values):  # Returns a list, whose members are of a kind.
    return list(members(dict(enumerate(values)), {}, dict.fromkeys(range(len(values)), kind)).values())
def unbase64(text):  # Returns what base 64 of RFC 4648, padded, stands for.
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed("not base 64") from error
    check(base64.b64encode(data).decode() == text, "not the one spelling of base 64")
    return data

class Files:  # The files of a log, in a directory or below a URL.
    def __init__(self, base):
        self.base, self.remote = base.rstrip("/"), base.startswith(("http://", "https://"))
    def read(self, name):  # Returns a file's bytes, None where there is no such file.
        try:
            with urllib.request.urlopen(f"{self.base}/{name}", timeout=60) if self.remote else open(f"{self.base}/{name}", "rb") as file:
                return file.read(MOST)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or getattr(error, "code", None) in (404, 410): return None
            raise Refused(f"{name}: {error}") from error
    def names(self):  # Lists the files of a directory, but those below a name that begins with a dot: they are the writer's own.
        found = [os.path.relpath(os.path.join(at, name), self.base) for at, _, names in os.walk("" if self.remote else self.base) for name in names]
        return sorted(name for name in found if "/." not in "/" + name)
def merkle(hashes):  # Returns the root of RFC 6962 over the hashes of leaves.
    while len(hashes) > 1:
        hashes = [sha256(b"\1", *hashes[i:i + 2]) for i in range(0, len(hashes) - 1, 2)] + hashes[len(hashes) & ~1:]
    return hashes[0] if hashes else sha256()
def checkpoint(note, key):  # Returns origin, size and root of a note that the log's key signed.
    try:
        name, number, encoded = key.split("+", 2)
        public = base64.b64decode(encoded)
        text, lines = re.fullmatch("(.*?\n)\n((?:\u2014 [^ \n]+ [^ \n]+\n)+)", note.decode(), re.S).groups()
        origin, size, root = re.fullmatch("(.+)\n(0|[1-9][0-9]*)\n(.+)\n(?:.+\n)*", text).groups()
        for _, signer, signature in (line.split(" ") for line in lines.splitlines()):
            raw = base64.b64decode(signature, validate=True)
            if signer == name == origin and raw[:4].hex() == number and base64.b64encode(raw).decode() == signature and public[:1] == b"\1":
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], text.encode())
                return origin, int(size), base64.b64decode(root, validate=True)
    except (AttributeError, ValueError, InvalidSignature) as error:
        raise Refused(f"checkpoint: no checkpoint that the log's key signed {error}") from error
    raise Refused("checkpoint: the log's key did not sign it")
def tile(level, number, width):  # Returns the path of a tile, or of an entry bundle.
    parts = re.findall("...", str(number).zfill((len(str(number)) + 2) // 3 * 3))
    return f"tile/{level}/" + "/".join(["x" + part for part in parts[:-1]] + parts[-1:]) + (f".p/{width}" if width < 256 else "")
def split(data, name):  # Returns the hashes of a tile, or the entries of a bundle, each of which has its length before it.
    if not name.startswith("tile/entries/"): return [data[i:i + 32] for i in range(0, len(data), 32)]
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at:at + 2], "big")
        entries, at = entries + [data[at + 2:end]], end
    if at != len(data): raise Refused(f"{name}: the last entry is cut off")
    return entries
def row(files, level, count):  # Returns what the tiles of a level have, and of which file each is: of the whole one where a partial one is gone.
    found, names = [], []
    for number in range(-(-count // 256)):
        width = min(256, count - number * 256)
        name = tile(level, number, width)
        data = files.read(name)
        if data is None:
            name, data = tile(level, number, 256), files.read(tile(level, number, 256))
        if data is None or len(split(data, name)) < width: raise Refused(f"{name}: is missing, or has less than was signed")
        found, names = found + split(data, name)[:width], names + [name] * width
    return found, names
def tree(files, key):  # Returns origin, size and root of the log, and its entries, all of whose hashes and tiles were checked.
    origin, size, root = checkpoint(files.read("checkpoint") or b"", key)
    entries, names = row(files, "entries", size)
    levels = [[sha256(b"\0", entry) for entry in entries]]
    if merkle(levels[0]) != root:
        wrong = [name for have, want, name in zip(levels[0], row(files, 0, size)[0], names) if have != want]
        raise Refused(f"{(wrong or ['tile/entries'])[0]}: these are not the entries that were signed")
    while len(levels[-1]) >= 256:
        levels.append([merkle(levels[-1][i:i + 256]) for i in range(0, len(levels[-1]) & ~255, 256)])
    for level, hashes in enumerate(levels):
        for have, name, want in zip(*row(files, level, len(hashes)), hashes):
            if have != want: raise Refused(f"{name}: is not the tile of the entries that were signed")
    for name in files.names():  # also tiles of earlier sizes, and attachments that nothing asks for
        found = re.fullmatch(r"tile/(entries|\d+)/((?:x\d{3}/)*\d{3})(?:\.p/(\d+))?", name)
        if name.startswith("attachments/sha256/"):
            attachment(files, name[19:])
        elif found:
            start, have = int(re.sub("[^0-9]", "", found[2])) * 256, split(files.read(name), name)
            want = (entries if found[1] == "entries" else (levels[int(found[1]):] or [[]])[0])[start:start + 256]
            if len(have) != int(found[3] or 256) or any(a != b for a, b in zip(have, want)):
                raise Refused(f"{name}: is not part of the tree that was signed")
        elif name != "checkpoint":
            raise Refused(f"{name}: is no file of a log, so that nothing says what it has to be")
    return origin, size, root, entries
def attachment(files, name):  # Returns the bytes with a SHA-256.
    data = files.read("attachments/sha256/" + name)
    if data is None or sha256(data).hex() != name:
        raise Refused(f"attachments/sha256/{name}: " + ("is missing, and was not erased" if data is None else "has another SHA-256"))
    return data

class Entry:  # A record of the ledger: its kind, when it was received in milliseconds since 1970, and its body.
    def __init__(self, index, data, dictionary):
        if data[:1] not in (b"\1", b"\2"): raise Undecided("an entry in an unknown encoding")
        head = 2 + (data[1:2] or b"\0")[0]
        self.index, self.kind, self.received = index, data[2:head].decode("latin-1"), int.from_bytes(data[head:head + 8], "big")
        check(len(data) >= head + 8 and re.fullmatch("[a-z][a-z0-9-]{0,31}", self.kind) and self.received <= 1 << 43, "is no entry")
        self.body = decompress(data[head + 8:], dictionary if data[0] == 2 else b"")
        if data[0] == 2:
            before, rest = sized(self.body)
            payload, after = sized(rest)
            self.body = before + base64.b64encode(payload) + after
            check(self.kind in ("attestation", "addressed") and payload and after[:1] == b'"' and len(self.body) <= BODY
                  and self.body.find(b'"payload":"') + 11 == len(before), "what is folded is malformed")
def sized(data):  # Cuts off bytes that follow their length.
    end = next((i + 1 for i, byte in enumerate(data[:5]) if byte < 128), 0)
    size = sum((byte & 127) << 7 * i for i, byte in enumerate(data[:end]))
    check(end and varint(size) == data[:end] and end + size <= len(data), "a length is malformed")
    return data[end:end + size], data[end + size:]
def varint(number):  # Returns an unsigned LEB128 of the least length.
    return (bytes([number & 127 | 128]) + varint(number >> 7)) if number > 127 else bytes([number])
def decompress(frame, dictionary, library=[]):  # Returns what a zstd frame holds. Python has no zstd before 3.14: library keeps the one of C.
    if not library:
        zstd, size = ctypes.CDLL("libzstd.so.1"), ctypes.c_size_t
        zstd.ZSTD_createDCtx.restype, zstd.ZSTD_decompress_usingDict.restype = ctypes.c_void_p, size
        zstd.ZSTD_decompress_usingDict.argtypes = [ctypes.c_void_p, ctypes.c_void_p, size] + 2 * [ctypes.c_char_p, size]
        zstd.ZSTD_isError.argtypes = [size]
        library.extend([zstd, zstd.ZSTD_createDCtx(), ctypes.create_string_buffer(BODY)])
    zstd, context, room = library
    size = zstd.ZSTD_decompress_usingDict(context, room, BODY, frame, len(frame), dictionary, len(dictionary))
    check(not zstd.ZSTD_isError(size), "is no zstd frame, or comes to more than 4 MiB")
    return ctypes.string_at(room, size)
