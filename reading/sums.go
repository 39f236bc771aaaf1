package reading

import (
	"context"
	"slices"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/enrolment"
	"repronet.dev/evidence"
	"repronet.dev/evidence/openpgp"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// peekSums reads a checksum document with OpenPGP signatures.
func peekSums(body []byte) (*Named, error) {
	document, err := openpgp.ParseDocument(body)
	if err != nil {
		return nil, err
	}
	n := &Named{Ecosystem: ecosystem.Release}
	for _, row := range rowsOf(openpgp.ParseSums(document.Project, document.Text)) {
		n.Outputs = append(n.Outputs, row.Output)
	}
	return n, nil
}

func openSums(ctx context.Context, r *Reader, body []byte, at when) (*Document, error) {
	document, err := openpgp.ParseDocument(body)
	if err != nil {
		return nil, err
	}
	ring, err := r.ring(ctx, document.Project)
	if err != nil {
		return nil, err
	}
	v, err := openpgp.OpenDocument(document, ring.Lookup, at.received)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Kind: ledger.OpenPGPSums, Ecosystem: ecosystem.Release, DigestKind: attestation.File, Rows: rowsOf(v.Sums()),
	}
	d.signFor(r, document.Project, v.Signatures())
	return d.complete(), nil
}

func rowsOf(sums openpgp.Sums) []Row {
	rows := make([]Row, 0, len(sums.Claims)+len(sums.Ambiguous))
	for _, c := range sums.Claims {
		rows = append(rows, Row{c.Output, []attestation.Digest{c.Digest}})
	}
	for _, a := range sums.Ambiguous {
		rows = append(rows, Row{a.Output, a.Digests})
	}
	return rows
}

// forProject takes the word of a builder away that was not enrolled for a project.
func (r *Reader) forProject(project string, s *openpgp.Signature) Signer {
	signer := Signer{Builder: s.Builder, State: s.State, Reason: s.Reason, SignedAt: s.Created}
	if signer.State.Counts() && !r.revoked(signer.Builder) && !r.signsFor(signer.Builder, project) {
		signer.State, signer.Reason = evidence.UnknownKey, "not enrolled for project "+project
	}
	return signer
}

func (r *Reader) revoked(builder signing.BuilderID) bool {
	b, ok := r.roster.Builder(builder)
	return !ok || b.Revoked
}

// signsFor reports whether a builder was enrolled for a project, with an
// attachment that holds its certificate. That the certificate is in the project's
// keyring is no proof: somebody else's enrolment may name it.
func (r *Reader) signsFor(builder signing.BuilderID, project string) bool {
	b, ok := r.roster.Builder(builder)
	return ok && slices.ContainsFunc(b.Certificates, func(c enrolment.OpenPGP) bool {
		return c.Project == project && r.certified(c)
	})
}
