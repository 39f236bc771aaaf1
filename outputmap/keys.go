package outputmap

import (
	"bytes"
	"fmt"
	"slices"

	"repronet/attestation"
	"repronet/evidence"
	"repronet/evidence/narinfo"
	"repronet/evidence/openpgp"
	"repronet/ledger"
	"repronet/signing"
)

// A Pair says that an entry is about a key.
type Pair struct {
	Key   attestation.OutputID
	Index uint64 // of the entry in the ledger
}

// RosterKey is the key of the entries that say who counts. No output has it: no
// ecosystem has an empty name.
func RosterKey() attestation.OutputID { return attestation.NewOutputID("", "roster") }

// Keys returns the keys that an entry is about, in order and each once.
//
// An error says that this software cannot read the entry, which then is about
// nothing: the caller goes on after it, as every reader does, and remembers that
// its map may differ from that of a newer one.
func Keys(e *ledger.Entry) ([]attestation.OutputID, error) {
	switch e.Kind {
	case ledger.Attestation:
		_, statement, err := signing.PeekStatement(e.Body)
		if err != nil {
			return nil, err
		}
		return ofStatement(statement), nil
	case ledger.OpenPGPSums:
		document, err := openpgp.ParseDocument(e.Body)
		if err != nil {
			return nil, err
		}
		return ofSums(openpgp.ParseSums(document.Project, document.Text)), nil
	case ledger.Narinfo:
		info, err := narinfo.Parse(e.Body)
		if err != nil {
			return nil, err
		}
		return []attestation.OutputID{attestation.NewOutputID(narinfo.Ecosystem, info.StorePath)}, nil
	case ledger.Enrolment, ledger.Revocation, ledger.Erased:
		return []attestation.OutputID{RosterKey()}, nil
	case ledger.PackageSet, ledger.MapRoot:
		return nil, nil
	default:
		return nil, fmt.Errorf("entries of kind %q are not known: a newer version of this program may know them", e.Kind)
	}
}

func ofStatement(s *attestation.Statement) []attestation.OutputID {
	if s.Type == attestation.BuildFailed {
		return nil
	}
	keys := make([]attestation.OutputID, len(s.Subjects))
	for i, subject := range s.Subjects {
		keys[i] = attestation.NewOutputID(s.Ecosystem, subject.Name)
	}
	return sorted(keys)
}

func ofSums(sums openpgp.Sums) []attestation.OutputID {
	var keys []attestation.OutputID
	for _, c := range sums.Claims {
		keys = append(keys, attestation.NewOutputID(evidence.ReleaseEcosystem, c.Output))
	}
	for _, a := range sums.Ambiguous {
		keys = append(keys, attestation.NewOutputID(evidence.ReleaseEcosystem, a.Output))
	}
	return sorted(keys)
}

func sorted(keys []attestation.OutputID) []attestation.OutputID {
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func compareKeys(a, b attestation.OutputID) int { return bytes.Compare(a[:], b[:]) }
