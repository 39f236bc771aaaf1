package reporter

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"repronet/attestation"
	"repronet/internal/wire"
	"repronet/ledger"
	"repronet/reporter/spool"
	"repronet/signing/keys"
)

// Withdraw records that the installation's builder takes the claims of a ledger
// entry back: those on the outputs that are named, or all if none is. The next
// 'run' delivers it.
func (d *Desk) Withdraw(ctx context.Context, index uint64, outputs []string, reason string) ([]spool.Output, error) {
	statement, err := d.ownStatement(ctx, index)
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
	return record.Outputs, d.home.Spool().Put(record)
}

// ownStatement reads a statement of this builder from the ledger, with proof.
func (d *Desk) ownStatement(ctx context.Context, index uint64) (*attestation.Statement, error) {
	reader := ledger.NewReader(ledger.HTTP(d.http, d.base+wire.LogPath), d.logKey)
	checkpoint, err := reader.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if index >= checkpoint.Size {
		return nil, fmt.Errorf("ledger index %d is beyond the ledger, which has %d entries", index, checkpoint.Size)
	}
	found, err := reader.Tree(checkpoint).Record(ctx, index)
	if err != nil {
		return nil, err
	}
	entry, err := found.Entry()
	if err != nil {
		return nil, err
	}
	if entry.Kind != ledger.Attestation {
		return nil, fmt.Errorf("ledger index %d is no statement, but of kind %s", index, entry.Kind)
	}
	bundle, err := keys.ParseBundle(entry.Body)
	if err != nil {
		return nil, fmt.Errorf("ledger index %d: %w", index, err)
	}
	if bundle.Builder != d.config.Builder {
		return nil, fmt.Errorf("the statement at ledger index %d is by builder %s, this is %s: only who said something can take it back", index, bundle.Builder, d.config.Builder)
	}
	statement, err := attestation.Parse(bundle.Payload)
	if err != nil {
		return nil, fmt.Errorf("ledger index %d: %w", index, err)
	}
	if statement.Type != attestation.Rebuild {
		return nil, fmt.Errorf("the statement at ledger index %d makes no claims about outputs", index)
	}
	return statement, nil
}

// Claims asks the aggregator for the ledger indices of this builder's statements
// about an output that are not withdrawn. What it answers is checked when they are
// read.
func (d *Desk) Claims(ctx context.Context, output string) ([]uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/outputs?name="+url.QueryEscape(output), nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reaching the aggregator: %w", err)
	}
	defer resp.Body.Close()
	const maxOutput = 16 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
	if err != nil {
		return nil, fmt.Errorf("reading the aggregator's answer: %w", err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("the aggregator knows no output %q", output)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the aggregator answered %s", resp.Status)
	}
	var answer struct {
		Claims []struct {
			Index   uint64         `json:"index"`
			Builder keys.BuilderID `json:"builder"`
			Status  string         `json:"status"`
		} `json:"claims"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("parsing the aggregator's answer: %w", err)
	}
	var indices []uint64
	for _, c := range answer.Claims {
		if c.Builder == d.config.Builder && c.Status != "withdrawn" {
			indices = append(indices, c.Index)
		}
	}
	if len(indices) == 0 {
		return nil, fmt.Errorf("builder %s claims nothing about %s", d.config.Builder, output)
	}
	return indices, nil
}
