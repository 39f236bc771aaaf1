package reporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
)

// Withdraw records that the installation's builder takes the claims of a ledger
// entry back: those on the outputs that are named, or all if none is. The next
// 'run' delivers it. What a former key of the installation said, that key takes back at
// once.
func (d *Desk) Withdraw(ctx context.Context, index uint64, outputs []string, reason string) ([]spool.Output, error) {
	statement, builder, err := d.ownStatement(ctx, index)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, key := range outputs {
		wanted[key] = true
	}
	record := &spool.Record{
		Type: attestation.Withdraw, Ecosystem: statement.Ecosystem, DigestKind: statement.DigestKind, Reason: reason,
	}
	for _, s := range statement.Subjects {
		if len(outputs) == 0 || wanted[s.Name] {
			record.Outputs = append(record.Outputs, spool.Output{Key: s.Name, Digest: s.Digest})
		}
	}
	if len(record.Outputs) == 0 {
		return nil, fmt.Errorf("the statement at ledger index %d names none of these outputs", index)
	}
	if builder != d.config.Builder {
		return record.Outputs, d.withdrawAs(ctx, builder, record)
	}
	return record.Outputs, d.home.Spool().Put(record)
}

// ownStatement reads a statement of this installation from the ledger, with proof, and
// says which of its builders made it.
func (d *Desk) ownStatement(ctx context.Context, index uint64) (*attestation.Statement, signing.BuilderID, error) {
	reader := ledger.NewReader(d.api.Log(), d.logKey)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, "", err
	}
	if index >= checkpoint.Size {
		return nil, "", fmt.Errorf("ledger index %d is beyond the ledger, which has %d entries", index, checkpoint.Size)
	}
	found, err := reader.Tree(checkpoint).Record(ctx, index)
	if err != nil {
		return nil, "", err
	}
	entry, err := found.Entry()
	if err != nil {
		return nil, "", err
	}
	if !entry.Kind.IsStatement() {
		return nil, "", fmt.Errorf("ledger index %d is no statement, but of kind %s", index, entry.Kind)
	}
	bundle, err := signing.ParseBundle(entry.Body)
	if err != nil {
		return nil, "", fmt.Errorf("ledger index %d: %w", index, err)
	}
	own, err := d.owns(bundle.Builder)
	if err == nil && !own {
		err = fmt.Errorf("the statement at ledger index %d is by builder %s, this is %s: only who said something can take it back", index, bundle.Builder, d.config.Builder)
	}
	if err != nil {
		return nil, "", err
	}
	statement, err := attestation.Parse(bundle.Payload)
	if err != nil {
		return nil, "", fmt.Errorf("ledger index %d: %w", index, err)
	}
	if statement.Type != attestation.Rebuild {
		return nil, "", fmt.Errorf("the statement at ledger index %d makes no claims about outputs", index)
	}
	return statement, bundle.Builder, nil
}

// Claims asks the aggregator for the ledger indices of this installation's statements
// about an output that are not withdrawn. What it answers is checked when they are
// read.
func (d *Desk) Claims(ctx context.Context, output string) ([]uint64, error) {
	answer, err := d.api.Output(ctx, output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the aggregator knows no output %q", output)
	}
	if err != nil {
		return nil, err
	}
	var indices []uint64
	own := map[string]bool{}
	for _, c := range answer.Claims {
		if _, asked := own[c.Builder]; !asked {
			if own[c.Builder], err = d.owns(signing.BuilderID(c.Builder)); err != nil {
				return nil, err
			}
		}
		if own[c.Builder] && c.Status != api.StandingWithdrawn && !slices.Contains(indices, c.Index) {
			indices = append(indices, c.Index)
		}
	}
	if len(indices) == 0 {
		return nil, fmt.Errorf("builder %s claims nothing about %s", d.config.Builder, output)
	}
	return indices, nil
}
