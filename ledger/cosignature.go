package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// A cosignature (C2SP tlog-cosignature, "cosignature/v1") is a witness's word that
// the checkpoint continues all those of the log that it cosigned before, and of
// when it saw it. It is a signature of the checkpoint's note: the key's hash, the
// seconds since 1970 (8 bytes, big-endian), and an Ed25519 signature of
//
//	cosignature/v1
//	time 1700000000
//	<the checkpoint's text>

const (
	algorithmEd25519     = 1 // of golang.org/x/mod/sumdb/note
	algorithmCosignature = 4
	timestampSize        = 8
)

// ErrNotCosigned is what [Witnesses.Check] wraps. It does not convict the log: its
// witnesses may have been away.
var ErrNotCosigned = errors.New("not cosigned by enough witnesses")

// Witnesses are the parties that a reader of a log wants to have seen its checkpoints. A nil
// *Witnesses asks for none.
type Witnesses struct {
	keys   []note.Verifier
	quorum int
}

// NewWitnesses returns witnesses by their keys (vkeys as C2SP signed-note writes
// them, "name+hash+key"), of which so many as quorum says must have cosigned. It is
// nil if there are none.
func NewWitnesses(vkeys []string, quorum int) (*Witnesses, error) {
	if len(vkeys) == 0 && quorum == 0 {
		return nil, nil
	}
	if quorum < 1 || quorum > len(vkeys) {
		return nil, fmt.Errorf("%d of %d witnesses cannot be asked for", quorum, len(vkeys))
	}
	w := &Witnesses{quorum: quorum}
	var seen []string
	for _, vkey := range vkeys {
		v, err := parseWitnessKey(vkey)
		if err != nil {
			return nil, fmt.Errorf("witness key %.200q: %w", vkey, err)
		}
		// One key under two names would be two witnesses.
		if slices.Contains(seen, string(v.key)) {
			return nil, fmt.Errorf("witness key %.200q: the same key is another witness's, too", vkey)
		}
		seen = append(seen, string(v.key))
		w.keys = append(w.keys, v)
	}
	return w, nil
}

// Check checks that enough witnesses cosigned a checkpoint that [OpenCheckpoint]
// opened, and returns when: a time since which a quorum of them have not seen it
// for the first time. If not, the error wraps [ErrNotCosigned].
func (w *Witnesses) Check(c *Checkpoint) (time.Time, error) {
	if w == nil {
		return time.Time{}, nil
	}
	var times []time.Time
	for _, key := range w.keys {
		// One by one: a bad cosignature of one must not spoil another's.
		n, err := note.Open(c.Text, note.VerifierList(key))
		if err != nil || len(n.Sigs) == 0 {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
		if err != nil {
			continue
		}
		times = append(times, cosignedAt(signature[4:]))
	}
	if len(times) < w.quorum {
		return time.Time{}, fmt.Errorf("%w: the log %s shows a tree of %d entries that %d of the pinned witnesses cosigned, %d are asked for",
			ErrNotCosigned, c.Origin, c.Size, len(times), w.quorum)
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[len(times)-w.quorum], nil
}

// witnessKey verifies cosignatures.
type witnessKey struct {
	name string
	key  ed25519.PublicKey
}

func (w *witnessKey) Name() string    { return w.name }
func (w *witnessKey) KeyHash() uint32 { return cosignatureKeyHash(w.name, w.key) }

func (w *witnessKey) Verify(text, signature []byte) bool {
	return len(signature) == timestampSize+ed25519.SignatureSize &&
		ed25519.Verify(w.key, cosignedMessage(cosignedAt(signature), text), signature[timestampSize:])
}

// parseWitnessKey reads a vkey of a cosignature key. One of a plain Ed25519 key is
// taken for the cosignature key of the same bytes, as other programs do, because
// many witnesses publish that.
func parseWitnessKey(vkey string) (*witnessKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	data, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil || len(data) != 1+ed25519.PublicKeySize || data[0] != algorithmEd25519 && data[0] != algorithmCosignature:
		return nil, errors.New("not name+hash+key with an Ed25519 key for cosignatures")
	case !validKeyName(name):
		return nil, errors.New("the name is none")
	case hash != fmt.Sprintf("%08x", keyHash(name, data)):
		return nil, errors.New("the hash is not that of the key")
	}
	return &witnessKey{name, data[1:]}, nil
}

// validKeyName is what golang.org/x/mod/sumdb/note wants of a name.
func validKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}

func cosignatureKeyHash(name string, key ed25519.PublicKey) uint32 {
	return keyHash(name, append([]byte{algorithmCosignature}, key...))
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func cosignedMessage(at time.Time, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at.Unix()), text...)
}

func cosignedAt(signature []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(signature)), 0)
}

// A WitnessSigner is the key of a witness.
type WitnessSigner struct {
	name string
	key  ed25519.PrivateKey
}

// NewWitnessSigner makes a witness's key.
func NewWitnessSigner(name string) (*WitnessSigner, error) {
	if !validKeyName(name) {
		return nil, fmt.Errorf("%.100q is no name of a witness: want one like witness.example.org, without blanks and plus signs", name)
	}
	_, key, err := ed25519.GenerateKey(nil)
	return &WitnessSigner{name, key}, err
}

// ParseWitnessSigner reads a key as [WitnessSigner.Secret] writes it.
func ParseWitnessSigner(text string) (*WitnessSigner, error) {
	fields := strings.SplitN(text, "+", 5) // base 64 may contain a "+" itself
	if len(fields) != 5 || fields[0] != "PRIVATE" || fields[1] != "KEY" || !validKeyName(fields[2]) {
		return nil, errors.New("not a witness's key: want PRIVATE+KEY+name+hash+key")
	}
	data, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(data) != 1+ed25519.SeedSize || data[0] != algorithmCosignature {
		return nil, errors.New("not an Ed25519 key for cosignatures")
	}
	s := &WitnessSigner{fields[2], ed25519.NewKeyFromSeed(data[1:])}
	if fields[3] != fmt.Sprintf("%08x", cosignatureKeyHash(s.name, s.public())) {
		return nil, errors.New("the hash is not that of the key")
	}
	return s, nil
}

func (s *WitnessSigner) public() ed25519.PublicKey {
	return ed25519.PublicKey(s.key[ed25519.SeedSize:])
}

// Secret returns the private key, in one line without its end.
func (s *WitnessSigner) Secret() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", s.name, cosignatureKeyHash(s.name, s.public()),
		base64.StdEncoding.EncodeToString(append([]byte{algorithmCosignature}, s.key.Seed()...)))
}

// String returns the public key: what others pin.
func (s *WitnessSigner) String() string {
	return fmt.Sprintf("%s+%08x+%s", s.name, cosignatureKeyHash(s.name, s.public()),
		base64.StdEncoding.EncodeToString(append([]byte{algorithmCosignature}, s.public()...)))
}

// Cosign returns the line of a signed note by which the witness says that it has
// seen the checkpoint. That it may say so is the caller's to know.
func (s *WitnessSigner) Cosign(c *Checkpoint, at time.Time) []byte {
	signature := binary.BigEndian.AppendUint32(nil, cosignatureKeyHash(s.name, s.public()))
	signature = binary.BigEndian.AppendUint64(signature, uint64(at.Unix()))
	signature = append(signature, ed25519.Sign(s.key, cosignedMessage(at, c.noteText()))...)
	return fmt.Appendf(nil, "— %s %s\n", s.name, base64.StdEncoding.EncodeToString(signature))
}

// noteText is what the signatures are of.
func (c *Checkpoint) noteText() []byte {
	return c.Text[:bytes.LastIndex(c.Text, []byte("\n\n"))+1]
}
