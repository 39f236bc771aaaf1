package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/internal/durable"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// Pins are what the user believes: one ledger, and who the builders are. They
// are kept in a JSON file.
type Pins struct {
	// Aggregators are addresses at which the ledger is served, in order of
	// preference. None of them is trusted.
	Aggregators []string `json:"aggregators"`
	// LogKey is the ledger's key, as golang.org/x/mod/sumdb/note writes it.
	LogKey string `json:"logKey"`
	// Witnesses are keys (name+hash+key, C2SP tlog-cosignature) of those of whom
	// WitnessQuorum must have cosigned each state of the ledger.
	Witnesses     []string `json:"witnesses,omitempty"`
	WitnessQuorum int      `json:"witnessQuorum,omitzero"`
	// Builders are those whose claims count, by builder ID.
	Builders []Builder `json:"builders"`
}

// A Builder is a pinned key and who is behind it.
type Builder struct {
	ID        signing.BuilderID `json:"id"`
	PublicKey []byte            `json:"publicKey,omitempty"` // PKIX, DER; base 64 in JSON
	NixName   string            `json:"nixName,omitempty"`   // by which it signs narinfo
	OpenPGP   []Certificate     `json:"openpgp,omitempty"`   // in place of a public key
	Keyless   *Keyless          `json:"keyless,omitempty"`   // in place of a public key
	Operator  string            `json:"operator"`
	NotBefore time.Time         `json:"notBefore,omitzero"`
	NotAfter  time.Time         `json:"notAfter,omitzero"`
	// RevokedFrom is the ledger index from which on nothing of the builder counts, of one
	// that was revoked when it was pinned: what it said before goes on to count.
	RevokedFrom *uint64 `json:"revokedFrom,omitempty"`
}

// A Certificate is a pinned OpenPGP certificate and the project for which its
// builder signs checksum documents.
type Certificate struct {
	Project string `json:"project"`
	Packets []byte `json:"packets"` // binary; base 64 in JSON
}

// NewBuilder returns a pin of a key that is valid at any time.
func NewBuilder(key *signing.PublicKey, operator string) Builder {
	return Builder{ID: key.Builder(), PublicKey: key.DER(), Operator: operator}
}

// maxPinsSize bounds the file of pins in bytes.
const maxPinsSize = 16 << 20

// DefaultPinsPath is where pins are kept unless the user says otherwise.
func DefaultPinsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the configuration directory: %w", err)
	}
	return filepath.Join(dir, "repronet", "verify.json"), nil
}

// LoadPins reads and checks a file of pins. One that is not there gives an error
// that wraps fs.ErrNotExist.
func LoadPins(path string) (*Pins, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading pins: %w", err)
	}
	if info.Size() > maxPinsSize {
		return nil, fmt.Errorf("reading pins: %s is larger than %d bytes", path, maxPinsSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading pins: %w", err)
	}
	var p Pins
	if err := attestation.DecodeStrict(text, &p); err != nil {
		return nil, fmt.Errorf("reading pins from %s: %w", path, err)
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("reading pins from %s: %w", path, err)
	}
	return &p, nil
}

// LoadOrNewPins is [LoadPins], or no pins where there is no file.
func LoadOrNewPins(path string) (*Pins, error) {
	p, err := LoadPins(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Pins{}, nil
	}
	return p, err
}

// Save writes the pins to a file, readable by its owner only.
func (p *Pins) Save(path string) error {
	if err := p.validate(); err != nil {
		return fmt.Errorf("writing pins: %w", err)
	}
	text, err := json.Marshal(p, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("writing pins: %w", err)
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing pins: %w", err)
	}
	return durable.WriteFile(path, append(text, '\n'), 0o600)
}

// Pin adds a builder, or replaces the pin of the same key.
func (p *Pins) Pin(b Builder) {
	p.Builders = slices.DeleteFunc(p.Builders, func(other Builder) bool { return other.ID == b.ID })
	p.Builders = append(p.Builders, b)
	slices.SortFunc(p.Builders, func(a, b Builder) int {
		return cmp.Or(cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.ID, b.ID))
	})
}

// PinAggregator adds an address.
func (p *Pins) PinAggregator(address string) {
	if !slices.Contains(p.Aggregators, address) {
		p.Aggregators = append(p.Aggregators, address)
	}
}

// ErrLogKey is what [Pins.PinLogKey] wraps if another key is pinned.
var ErrLogKey = errors.New("another log key is pinned")

// PinLogKey sets the log's key. A pinned key is never replaced.
func (p *Pins) PinLogKey(key string) error {
	if _, err := note.NewVerifier(key); err != nil {
		return fmt.Errorf("log key %.200q: %w", key, err)
	}
	if p.LogKey != "" && p.LogKey != key {
		return fmt.Errorf("%w: %s, not %s; if you mean another ledger, keep its pins in another file (--config)", ErrLogKey, p.LogKey, key)
	}
	p.LogKey = key
	return nil
}

// Verifier is the pinned log key.
func (p *Pins) Verifier() (note.Verifier, error) {
	if p.LogKey == "" {
		return nil, errors.New("no log key is pinned: run repronet-verify pin")
	}
	return note.NewVerifier(p.LogKey)
}

// Cosigners are the pinned witnesses; nil if there are none.
func (p *Pins) Cosigners() (*ledger.Witnesses, error) {
	return ledger.NewWitnesses(p.Witnesses, p.WitnessQuorum)
}

// PinWitness adds a witness, and has a majority of them asked for.
func (p *Pins) PinWitness(key string) error {
	keys := p.Witnesses
	if !slices.Contains(keys, key) {
		keys = append(slices.Clone(keys), key)
	}
	quorum := len(keys)/2 + 1
	if _, err := ledger.NewWitnesses(keys, quorum); err != nil {
		return err
	}
	p.Witnesses, p.WitnessQuorum = keys, quorum
	return nil
}

// OpenMirror is [OpenMirror] with the pinned key and witnesses.
func (p *Pins) OpenMirror(ctx context.Context, dir string) (*Mirror, error) {
	key, err := p.Verifier()
	if err != nil {
		return nil, err
	}
	witnesses, err := p.Cosigners()
	if err != nil {
		return nil, err
	}
	return openMirror(ctx, dir, key, witnesses)
}

func (p *Pins) validate() error {
	if _, err := p.Cosigners(); err != nil {
		return err
	}
	if p.LogKey != "" {
		if _, err := note.NewVerifier(p.LogKey); err != nil {
			return fmt.Errorf("log key %.200q: %w", p.LogKey, err)
		}
	}
	seen := map[signing.BuilderID]bool{}
	for _, b := range p.Builders {
		if err := b.validate(); err != nil {
			return fmt.Errorf("builder %.60q: %w", b.ID, err)
		}
		if seen[b.ID] {
			return fmt.Errorf("builder %s is pinned twice", b.ID)
		}
		if err := enrolment.ValidateOperator(b.Operator); err != nil {
			return fmt.Errorf("builder %s: %w", b.ID, err)
		}
		seen[b.ID] = true
	}
	return nil
}

// validate checks that the keys are the builder's.
func (b *Builder) validate() error {
	alternatives := 0
	for _, given := range []bool{len(b.PublicKey) > 0, len(b.OpenPGP) > 0, b.Keyless != nil} {
		if given {
			alternatives++
		}
	}
	if alternatives != 1 {
		return errors.New("has not exactly one of publicKey, openpgp and keyless")
	}
	if b.Keyless != nil {
		return b.Keyless.validate(b.ID)
	}
	if len(b.OpenPGP) > 0 {
		_, err := b.certificates()
		return err
	}
	key, err := signing.ParsePublicKeyDER(b.PublicKey)
	if err == nil && key.Builder() != b.ID {
		err = fmt.Errorf("the key is that of builder %s", key.Builder())
	}
	return err
}

// certificates returns what enrols the builder's certificates.
func (b *Builder) certificates() ([]enrolment.OpenPGP, error) {
	var list []enrolment.OpenPGP
	for _, c := range b.OpenPGP {
		if err := openpgp.ValidateProject(c.Project); err != nil {
			return nil, err
		}
		parsed, err := openpgp.ParseCertificates(c.Packets)
		if err != nil {
			return nil, err
		}
		if len(parsed) != 1 || parsed[0].Builder() != b.ID {
			return nil, errors.New("the certificate is not this builder's alone")
		}
		list = append(list, enrolment.OpenPGP{
			Fingerprint: parsed[0].Fingerprint(), Project: c.Project, Certificate: sha256.Sum256(c.Packets),
		})
	}
	return list, nil
}

// roster is the pins as package divergence and package signing ask for them. It
// follows the revocations and erasures in the ledger.
type roster struct {
	builders  []Builder
	numbers   map[signing.BuilderID]uint32
	operators []uint32 // by builder
	names     []string // of operators
	keys      []signing.Key
	revoked   []uint64 // by builder: ledger index from which on nothing counts
	revokedAt []uint64 // by builder: ledger index of the revocation that says so

	certificates [][]enrolment.OpenPGP         // by builder
	packets      map[attestation.Digest][]byte // of those not erased, and trusted roots
	keyless      []*enrolment.Keyless          // by builder, nil of others
	rules        *enrolment.Roster             // for the versions of the rules alone
}

func newRoster(p *Pins) (*roster, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("reading pins: %w", err)
	}
	r := &roster{builders: p.Builders, numbers: map[signing.BuilderID]uint32{}, packets: map[attestation.Digest][]byte{}, rules: enrolment.NewRoster()}
	for i, b := range p.Builders {
		var key *signing.PublicKey
		var err error
		if len(b.PublicKey) > 0 {
			key, err = signing.ParsePublicKeyDER(bytes.Clone(b.PublicKey))
		}
		if err != nil {
			return nil, fmt.Errorf("builder %s: %w", b.ID, err)
		}
		certificates, err := b.certificates()
		if err != nil {
			return nil, fmt.Errorf("builder %s: %w", b.ID, err)
		}
		r.certificates = append(r.certificates, certificates)
		for i, c := range certificates {
			r.packets[c.Certificate] = b.OpenPGP[i].Packets
		}
		r.keyless = append(r.keyless, nil)
		if b.Keyless != nil {
			r.keyless[i] = b.Keyless.enrolled()
			r.packets[r.keyless[i].TrustedRoot] = b.Keyless.TrustedRoot
		}
		operator := slices.Index(r.names, b.Operator)
		if operator < 0 {
			operator = len(r.names)
			r.names = append(r.names, b.Operator)
		}
		r.numbers[b.ID] = uint32(i)
		r.operators = append(r.operators, uint32(operator))
		revoked := uint64(noIndex)
		if b.RevokedFrom != nil {
			revoked = *b.RevokedFrom
		}
		r.revoked = append(r.revoked, revoked)
		r.revokedAt = append(r.revokedAt, noIndex)
		r.keys = append(r.keys, signing.Key{PublicKey: key, NotBefore: b.NotBefore, NotAfter: b.NotAfter})
	}
	return r, nil
}

// noIndex is above every ledger index.
const noIndex = 1<<64 - 1

// revoke follows the revocation at a ledger index. One from a later entry on holds
// from itself on.
func (r *roster) revoke(id signing.BuilderID, from, at uint64) {
	from = min(from, at)
	number, ok := r.numbers[id]
	if ok && (from < r.revoked[number] || from == r.revoked[number] && r.revokedAt[number] == noIndex) {
		r.revoked[number], r.revokedAt[number] = from, at
	}
}

// Counts implements [divergence.Operators].
func (r *roster) Counts(builder uint32, index uint64) (uint32, bool) {
	if int(builder) >= len(r.builders) {
		return 0, false
	}
	return r.operators[builder], index < r.revoked[builder]
}

// Certificates implements [reading.Roster].
func (r *roster) Certificates(project string) []attestation.Digest {
	var sums []attestation.Digest
	for _, list := range r.certificates {
		for _, c := range list {
			if c.Project == project {
				sums = append(sums, c.Certificate)
			}
		}
	}
	return sums
}

// Caches implements [reading.Roster].
func (r *roster) Caches(name string) []enrolment.Builder {
	var found []enrolment.Builder
	for i, b := range r.builders {
		if b.NixName == name {
			found = append(found, enrolment.Builder{ID: b.ID, Number: uint32(i), Key: r.keys[i]})
		}
	}
	return found
}

// Builder implements [reading.Roster]. Revocations are [roster.Counts]'s subject.
func (r *roster) Builder(id signing.BuilderID) (enrolment.Builder, bool) {
	number, ok := r.numbers[id]
	if !ok {
		return enrolment.Builder{}, false
	}
	return enrolment.Builder{ID: id, Number: number, Key: r.keys[number], Certificates: r.certificates[number]}, true
}

// RulesAt implements [reading.Roster].
func (r *roster) RulesAt(index uint64) uint32 { return r.rules.RulesAt(index) }

// attachment returns a pinned certificate or trusted root. One that the ledger erased counts for
// no reader, so not for the user either, who has its bytes.
func (r *roster) attachment(_ context.Context, sum attestation.Digest) ([]byte, error) {
	if packets, ok := r.packets[sum]; ok {
		return packets, nil
	}
	return nil, ledger.ErrErased
}

// Lookup implements [reading.Roster].
func (r *roster) Lookup(id signing.BuilderID) (signing.Key, error) {
	number, ok := r.numbers[id]
	if !ok {
		return signing.Key{}, fmt.Errorf("%w: builder %s is not pinned", signing.ErrUnknownBuilder, id)
	}
	return r.keys[number], nil
}
