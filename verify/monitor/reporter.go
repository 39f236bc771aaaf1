package monitor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// A Reporter is a builder whose statements must all be in the ledger.
type Reporter struct {
	Key *signing.PublicKey
	dir string
}

// Files of a reporter's directory.
const (
	publicKeyFile = "builder.pub"
	receiptsFile  = "spool/receipts.jsonl"
)

// maxReceipt bounds a line of receipts.
const maxReceipt = 64 << 10

// OpenReporter returns the builder whose reporter has the directory.
func OpenReporter(dir string) (*Reporter, error) {
	text, err := os.ReadFile(filepath.Join(dir, publicKeyFile))
	if err != nil {
		return nil, fmt.Errorf("opening the reporter's directory: %w", err)
	}
	key, err := signing.ParsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("opening the reporter's directory: %w", err)
	}
	return &Reporter{key, dir}, nil
}

// receipts reads the receipts that the reporter kept.
func (r *Reporter) receipts() (receipts []ledger.Inclusion, err error) {
	f, err := os.Open(filepath.Join(r.dir, receiptsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxReceipt)
	for lines.Scan() {
		var i ledger.Inclusion
		if len(bytes.TrimSpace(lines.Bytes())) == 0 || json.Unmarshal(lines.Bytes(), &i) != nil {
			continue // cut off by a crash
		}
		receipts = append(receipts, i)
	}
	return receipts, lines.Err()
}

// checkReporter compares the receipts with the ledger, and checks the chains.
func (m *Monitor) checkReporter(ctx context.Context, raise func(Kind, error)) error {
	receipts, err := m.Reporter.receipts()
	if err != nil {
		return fmt.Errorf("reading receipts: %w", err)
	}
	for ; m.receipts < len(receipts); m.receipts++ {
		checked, err := m.checkReceipt(ctx, &receipts[m.receipts], raise)
		if err != nil {
			return err
		}
		if !checked {
			break
		}
	}
	if err := m.chains.follow(ctx, m.Mirror.Tree(), m.Reporter.Key); err != nil {
		return err
	}
	for _, err := range m.chains.odd() {
		raise(Chain, err)
	}
	for _, err := range m.chains.revoked {
		raise(Revoked, err)
	}
	return nil
}

// checkReceipt reports whether the receipt is settled: whether the ledger reaches
// so far.
func (m *Monitor) checkReceipt(ctx context.Context, receipt *ledger.Inclusion, raise func(Kind, error)) (bool, error) {
	signed, err := receipt.Verify(m.Key)
	if err != nil {
		return false, fmt.Errorf("the receipt of ledger index %d is none of this log: %w", receipt.Index, err)
	}
	tree := m.Mirror.Tree()
	if receipt.Index >= tree.Size() {
		raise(Shrunk, fmt.Errorf("the log acknowledged a statement at ledger index %d in a tree of %d entries, and shows %d", receipt.Index, signed.Size, tree.Size()))
		return false, nil
	}
	record, err := tree.Record(ctx, receipt.Index)
	if err != nil {
		return false, err
	}
	leaf := tlog.RecordHash(record.Data)
	if leaf == receipt.Leaf {
		return true, nil
	}
	proof, err := tree.ProveInclusion(ctx, receipt.Index)
	if err != nil {
		return false, err
	}
	reason := fmt.Errorf("%w: what the log acknowledged at ledger index %d is not what it shows there", ledger.ErrInvalid, receipt.Index)
	raise(Dropped, m.Mirror.Convict(&ledger.Conviction{Entries: &[2]ledger.Inclusion{
		*receipt,
		{Index: receipt.Index, Leaf: leaf, Proof: proof, Checkpoint: string(m.Mirror.Checkpoint().Text)},
	}}, reason))
	return true, nil
}
