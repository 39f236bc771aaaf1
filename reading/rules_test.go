package reading_test

import (
	"errors"
	"testing"

	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// TestNewerRules: what only a newer program can read is an error of its own, never
// something said; what breaks its rules is refused, for every program.
func TestNewerRules(t *testing.T) {
	const at = 7
	reader := reading.New(enrolment.NewRoster(), nil)
	for name, test := range map[string]struct {
		kind  ledger.Kind
		body  string
		newer bool
	}{
		"the rules that judge":      {ledger.Rules, `{"version":1}`, false},
		"rules of the future":       {ledger.Rules, `{"version":3}`, true},
		"rules with more to them":   {ledger.Rules, `{"version":1,"since":9}`, true},
		"rules that name none":      {ledger.Rules, `{}`, true},
		"rules that are not JSON":   {ledger.Rules, "?", true},
		"kind of the future":        {"next", "?", true},
		"map by the future's rules": {ledger.MapRoot, `{"size":1,"tree":"?","rules":3}`, true},
		"map that cannot be":        {ledger.MapRoot, `{"size":1,"tree":"?"}`, false},
		"statement":                 {ledger.Attestation, "?", false},
		"document":                  {ledger.Narinfo, "?", false},
		"enrolment":                 {ledger.Enrolment, "?", false},
		"revocation":                {ledger.Revocation, "?", false},
		"erasure":                   {ledger.Erased, "?", false},
		"package set":               {ledger.PackageSet, "?", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := &ledger.Entry{Kind: test.kind, Body: []byte(test.body)}
			said, err := reader.Read(t.Context(), at, e)
			newer, ok := errors.AsType[*reading.NewerError](err)
			if ok != test.newer || ok && (newer.Index != at || said != nil || !errors.Is(err, reading.ErrNewerRules)) {
				t.Errorf("reads %v, %v", said, err)
			}
			if err := reading.Known(at, e); test.kind != ledger.MapRoot && (err != nil) != test.newer {
				t.Errorf("known: %v", err)
			}
			if _, err := reading.Peek(at, e); test.kind != ledger.MapRoot && errors.Is(err, reading.ErrNewerRules) != test.newer {
				t.Errorf("peek: %v", err)
			}
			_, refused := said.(*reading.Refused)
			if want := test.body == "?" && !test.newer || name == "map that cannot be"; refused != want {
				t.Errorf("refused %t: %v", refused, said)
			}
		})
	}
}

// TestEncodingOfTheFuture: an entry in an encoding that is not known is no proof that
// the ledger is broken.
func TestEncodingOfTheFuture(t *testing.T) {
	_, err := reading.Decode(ledger.Record{Index: 3, Data: []byte{ledger.NewestVersion + 1, 0}})
	if newer, ok := errors.AsType[*reading.NewerError](err); !ok || newer.Index != 3 {
		t.Errorf("got %v", err)
	}
	if _, err := reading.Decode(ledger.Record{Index: 3, Data: []byte{1, 0}}); err == nil || errors.Is(err, reading.ErrNewerRules) {
		t.Errorf("got %v, want that it is no entry", err)
	}
}

// TestKey: builder and payload are one identity, and no two of them share it.
func TestKey(t *testing.T) {
	one := reading.NewKey("alice", [32]byte{1})
	for name, other := range map[string]reading.Key{
		"payload": reading.NewKey("alice", [32]byte{2}), "builder": reading.NewKey("bob", [32]byte{1}), "document": reading.DocumentKey([32]byte{1}),
	} {
		if one == other {
			t.Errorf("another %s has the same key", name)
		}
	}
	if one != reading.NewKey("alice", [32]byte{1}) {
		t.Error("one claim has two keys")
	}
}
