package reading

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
)

// A Version numbers the rules by which entries are read and judged.
type Version uint32

// The versions of the rules. Version 1 judges from ledger index 0 on.
const (
	// ByName is the version from which on a narinfo says nothing about a path whose name
	// follows from its NAR hash and references (ecosystem.ProvenByName), whether or not
	// the cache wrote its CA: all who have such a path have the same bytes. Before it,
	// only the CA tells.
	ByName Version = 2
	// Newest is the greatest version of the rules that this program knows.
	Newest = ByName
)

// ErrNewerRules is wrapped where only a newer program can tell what the ledger says.
// It is no finding against anybody.
var ErrNewerRules = errors.New("a newer program is needed")

// A NewerError says from which ledger index on this program cannot decide anything.
// It wraps [ErrNewerRules].
type NewerError struct {
	Index uint64
	What  string // that this program does not know
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("undecided from ledger index %d on: %s is not known here: %v", e.Index, e.What, ErrNewerRules)
}

func (*NewerError) Unwrap() error { return ErrNewerRules }

// Rules is the body of an entry of kind ledger.Rules: from this entry on, the version
// judges. A program that writes entries of a kind, or by a rule, that an earlier version does
// not have writes this one first.
type Rules struct {
	Version Version `json:"version"`
}

// Encode returns the entry's body.
func (r Rules) Encode() ([]byte, error) {
	if r.Version == 0 {
		return nil, errors.New("encoding rules: versions begin with 1")
	}
	return json.Marshal(r)
}

// parseRules reads the body of the entry at a ledger index. What this program cannot
// read is a newer program's: only the ledger's holder writes such entries.
func parseRules(index uint64, body []byte) (*Rules, error) {
	var r Rules
	if err := attestation.DecodeStrict(body, &r); err != nil || r.Version == 0 {
		return nil, &NewerError{index, "what its entry of rules says"}
	}
	if r.Version > Newest {
		return nil, &NewerError{index, fmt.Sprintf("version %d of the rules", r.Version)}
	}
	return &r, nil
}

// Known reports, as a [NewerError], that this program cannot read the entry at a ledger
// index nor decide what follows it. An entry that is known may still be refused.
func Known(index uint64, e *ledger.Entry) error {
	switch e.Kind {
	case ledger.Attestation, ledger.Addressed, ledger.Enrolment, ledger.Revocation, ledger.PackageSet, ledger.MapRoot, ledger.Erased:
		return nil
	case ledger.Rules:
		_, err := parseRules(index, e.Body)
		return err
	}
	if kindOf(e.Kind) != nil {
		return nil
	}
	return &NewerError{index, fmt.Sprintf("an entry of kind %q", e.Kind)}
}

// Decode returns a record's entry. One in an encoding that this program does not know
// is a [NewerError]; any other error says that the record is no entry, for any reader.
func Decode(record ledger.Record) (*ledger.Entry, error) {
	e, err := record.Entry()
	if errors.Is(err, ledger.ErrEncoding) {
		return nil, &NewerError{record.Index, "the encoding of an entry"}
	}
	return e, err
}
