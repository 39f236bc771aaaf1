package reading

import (
	"crypto/sha256"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// Named is what an entry names, with nothing checked but its form: what an index needs
// to find entries again, never a reason to believe one.
type Named struct {
	Ecosystem string
	Outputs   []string // output keys, each once; none of what is not about outputs
	// Roster tells that the entry is about who counts.
	Roster bool

	// Of an attestation:
	Statement *attestation.Statement
	Payload   attestation.Digest
	// Builder is whose key the bundle names; empty of a keyless one, which names the
	// Identity: only one who knows the enrolments can tell whose that is.
	Builder  signing.BuilderID
	Identity signing.Identity
}

// IDs returns the IDs of the outputs.
func (n *Named) IDs() []attestation.OutputID {
	if n.Statement != nil {
		return outputsOf(n.Statement)
	}
	if len(n.Outputs) == 0 {
		return nil
	}
	ids := make([]attestation.OutputID, len(n.Outputs))
	for i, output := range n.Outputs {
		ids[i] = attestation.NewOutputID(n.Ecosystem, output)
	}
	return ids
}

// Peek returns what the entry at a ledger index names. An error is a [NewerError], or a
// [Refused], whose entry is about nothing, for any reader.
func Peek(index uint64, e *ledger.Entry) (*Named, error) {
	if err := Known(index, e); err != nil {
		return nil, err
	}
	if kind := kindOf(e.Kind); kind != nil {
		n, err := kind.peek(e.Body)
		return n, refused(err)
	}
	switch e.Kind {
	case ledger.Attestation, ledger.Addressed:
		n, err := PeekStatement(e.Body)
		if err == nil {
			err = fits(e.Kind, n.Statement)
		}
		if err != nil {
			return nil, err
		}
		return n, nil
	case ledger.Enrolment, ledger.Revocation, ledger.Erased, ledger.Rules:
		return &Named{Roster: true}, nil
	default: // sets name their members in attachments; they and map roots move no verdict of an output
		return &Named{}, nil
	}
}

// PeekStatement is [Peek] of the body of an attestation.
func PeekStatement(bundle []byte) (*Named, error) {
	b, who, err := sigstore.Peek(bundle)
	if err != nil {
		return nil, &Refused{err}
	}
	statement, err := attestation.Parse(b.Payload)
	if err != nil {
		return nil, &Refused{err}
	}
	n := &Named{
		Ecosystem: statement.Ecosystem, Statement: statement, Payload: sha256.Sum256(b.Payload), Builder: b.Builder, Identity: who,
	}
	if statement.Type != attestation.BuildFailed {
		n.Outputs = make([]string, len(statement.Subjects))
		for i := range statement.Subjects {
			n.Outputs[i] = statement.Subjects[i].Name
		}
	}
	return n, nil
}
