package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Kind says what an entry's body is.
type Kind string

// The kinds of entries. Whatever can move a verdict is one of them. A reader that meets
// a kind that it does not know can decide nothing from there on (package reading).
const (
	Attestation  Kind = "attestation"   // a Sigstore bundle, package signing
	Addressed    Kind = "addressed"     // the same, of a statement that names the ledgers in which it counts
	Enrolment    Kind = "enrolment"     // package enrolment
	Revocation   Kind = "revocation"    // package enrolment
	PackageSet   Kind = "package-set"   // package pkgset; the members are an attachment
	OpenPGPSums  Kind = "openpgp-sums"  // package evidence/openpgp
	SignedSums   Kind = "signed-sums"   // package evidence/openpgp; a checksum text raw, read by the wider grammar
	GitianAssert Kind = "gitian-assert" // package evidence/gitian
	Narinfo      Kind = "narinfo"       // package evidence/narinfo; the file as it was served
	MapRoot      Kind = "map-root"      // package outputmap; moves no verdict
	Erased       Kind = "erased"        // package enrolment; takes an attachment away
	Rules        Kind = "rules"         // package reading; which version of the rules judges from here on
)

// IsStatement reports whether entries of the kind are builders' statements.
func (k Kind) IsStatement() bool { return k == Attestation || k == Addressed }

// Sizes in bytes.
const (
	// MaxEntrySize is the greatest size of an encoded entry: the length prefix
	// of a tlog-tiles entry bundle has 16 bits.
	MaxEntrySize = 65535
	// MaxBodySize bounds what an entry's body may decompress to.
	MaxBodySize = 4 << 20
)

// An Entry is one record of the ledger.
type Entry struct {
	Kind Kind
	// ReceivedAt is when the writer took the entry, in whole milliseconds; it
	// never decreases from one entry to the next. It is the only clock that
	// verdicts know.
	ReceivedAt time.Time
	// Body is the evidence, byte for byte as it came.
	Body []byte
}

// Versions of the encoding, which begin every entry.
const (
	plainVersion  = 1 // the body as it is
	foldedVersion = 2 // the body of a statement, folded
)

var kindPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Validate reports whether k is written as a kind is: 1 to 32 characters of a-z,
// 0-9 and "-", a letter first.
func (k Kind) Validate() error {
	if !kindPattern.MatchString(string(k)) {
		return fmt.Errorf("%q is not a kind of entry: that is 1 to 32 characters of a-z, 0-9 and -, a letter first", string(k))
	}
	return nil
}

// ErrEncoding is what [DecodeEntry] wraps for an entry in an encoding that this program
// does not know: a newer one may.
var ErrEncoding = errors.New("an encoding of entries that is not known")

// ErrTooLarge is what [Pack] returns for a body that no entry can hold.
var ErrTooLarge = errors.New("larger than a ledger entry can hold")

// An entry is encoded as
//
//	version (1 byte) | length of kind (1 byte) | kind | receivedAt (8 bytes,
//	big-endian, milliseconds since 1970) | body (one zstd frame)
//
// so that a body can be compressed before its place in the log is known. In version 2 the
// body is folded, see [fold].

// A Packed entry has its body compressed, and waits for its time of receipt.
type Packed struct {
	version    byte
	kind       Kind
	compressed []byte
}

// Pack compresses the body of an entry, in the version that every program reads. It fails
// with [ErrTooLarge] if an entry could not hold it, whatever its kind.
func Pack(kind Kind, body []byte) (Packed, error) {
	return pack(plainVersion, kind, body, func() []byte { return compressor().EncodeAll(body, nil) })
}

// PackFolded is [Pack] in version 2, if the body is a statement's that can be folded: for
// senders who read that version, since the receipt shows them the entry.
func PackFolded(kind Kind, body []byte) (Packed, error) {
	if kind.IsStatement() {
		if folded, ok := fold(body); ok {
			return pack(foldedVersion, kind, body, func() []byte { return folder().EncodeAll(folded, nil) })
		}
	}
	return Pack(kind, body)
}

// NewestVersion is that of the entries that this program reads.
const NewestVersion = foldedVersion

func pack(version byte, kind Kind, body []byte, compress func() []byte) (Packed, error) {
	if err := kind.Validate(); err != nil {
		return Packed{}, err
	}
	if len(body) > MaxBodySize {
		return Packed{}, fmt.Errorf("body of %d bytes: %w (%d)", len(body), ErrTooLarge, MaxBodySize)
	}
	compressed := compress()
	if n := len(compressed) + 2 + 32 + 8; n > MaxEntrySize {
		return Packed{}, fmt.Errorf("body of %d bytes, %d compressed: %w (%d)", len(body), len(compressed), ErrTooLarge, MaxEntrySize)
	}
	return Packed{version, kind, compressed}, nil
}

// Kind is what the entry is.
func (p Packed) Kind() Kind { return p.kind }

// Size is the number of bytes of the entry.
func (p Packed) Size() int { return 2 + len(p.kind) + 8 + len(p.compressed) }

// Encode returns the bytes of the entry, which are the log's leaf.
func (p Packed) Encode(receivedAt time.Time) []byte {
	buf := make([]byte, 0, p.Size())
	buf = append(buf, p.version, byte(len(p.kind)))
	buf = append(buf, p.kind...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(receivedAt.UnixMilli()))
	return append(buf, p.compressed...)
}

// Encode returns the bytes of the entry, which are the log's leaf.
func (e *Entry) Encode() ([]byte, error) {
	packed, err := Pack(e.Kind, e.Body)
	if err != nil {
		return nil, fmt.Errorf("encoding entry: %w", err)
	}
	return packed.Encode(e.ReceivedAt), nil
}

// DecodeEntry reads an entry. It never uses more memory than [MaxBodySize] and
// a constant.
func DecodeEntry(data []byte) (*Entry, error) {
	if len(data) < 2 || len(data) > MaxEntrySize {
		return nil, fmt.Errorf("decoding entry: %d bytes is no entry's size", len(data))
	}
	version := data[0]
	if version != plainVersion && version != foldedVersion {
		return nil, fmt.Errorf("decoding entry: version %d: %w", data[0], ErrEncoding)
	}
	n := int(data[1])
	if len(data) < 2+n+8 || !kindPattern.Match(data[2:2+n]) {
		return nil, errors.New("decoding entry: the kind is malformed")
	}
	milliseconds := binary.BigEndian.Uint64(data[2+n:])
	if milliseconds > 1<<43 { // the year 2248
		return nil, errors.New("decoding entry: the time of receipt is out of range")
	}
	kind := Kind(data[2 : 2+n])
	coder := decompressor
	if version == foldedVersion {
		coder = unfolder
	}
	body, err := coder().DecodeAll(data[2+n+8:], nil)
	if err != nil {
		return nil, fmt.Errorf("decoding entry: decompressing body: %w", err)
	}
	if version == foldedVersion {
		if body, err = unfold(body); err != nil {
			return nil, err
		}
		if !kind.IsStatement() {
			return nil, fmt.Errorf("decoding entry: a body of kind %s is not folded", kind)
		}
	}
	return &Entry{Kind: kind, ReceivedAt: time.UnixMilli(int64(milliseconds)).UTC(), Body: body}, nil
}

// The coders are safe for concurrent use and costly to make.
var (
	compressor = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // constant options
		}
		return e
	})
	decompressor = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxBodySize), zstd.WithDecoderConcurrency(0))
		if err != nil {
			panic(err) // constant options
		}
		return d
	})
)
