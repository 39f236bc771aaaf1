package reporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/reporter/spool"
	"repronet.dev/reporter/submit"
	"repronet.dev/signing"
)

// olderKey opens a key of this directory that another one has replaced (see Rotate), by
// its builder. It returns nil where there is none.
func (h Home) olderKey(id signing.BuilderID) (*signing.Signer, error) {
	entries, err := os.ReadDir(string(h))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, "key") || !strings.HasSuffix(name, ".pem") {
			continue
		}
		signer, err := signing.LoadSigner(h.path(entry.Name()))
		if err != nil {
			continue // a file of somebody else's, or a damaged one: it is not what is looked for
		}
		if signer.Public().Builder() == id {
			return signer, nil
		}
		if err := signer.Close(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// owns reports whether the directory has the key of a builder, in use or replaced.
func (d *Desk) owns(id signing.BuilderID) (bool, error) {
	if id == d.config.Builder {
		return true, nil
	}
	signer, err := d.home.olderKey(id)
	if signer == nil {
		return false, err
	}
	return true, signer.Close()
}

// withdrawAs has a key that is not in use any more take back what it said, at once: the
// spool signs with the present key. The receipt proves that the ledger has it.
func (d *Desk) withdrawAs(ctx context.Context, id signing.BuilderID, record *spool.Record) (err error) {
	signer, err := d.home.olderKey(id)
	if err != nil {
		return err
	}
	if signer == nil {
		return fmt.Errorf("the former key %s is not in %s any more: without it nothing that it said can be taken back", id, d.home)
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	statement := &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: record.Ecosystem, DigestKind: record.DigestKind, Reason: record.Reason,
	}
	for _, o := range record.Outputs {
		statement.Subjects = append(statement.Subjects, attestation.Subject{Name: o.Key, Digest: o.Digest})
	}
	if d.config.Audience == AudienceLedger {
		statement.Audience = []string{d.logKey.Name()}
	}
	bundle, err := signer.Sign(ctx, statement)
	if err != nil {
		return err
	}
	_, payload, err := signing.Peek(bundle)
	if err != nil {
		return err
	}
	client := &submit.Client{API: d.api, LogKey: d.logKey}
	answers, err := client.Submit(ctx, []submit.Bundle{{JSON: bundle, Payload: payload}})
	if err != nil {
		return err
	}
	switch a := answers[0]; {
	case a.Err != nil:
		return a.Err
	case a.Problem != nil:
		return fmt.Errorf("the aggregator does not take a withdrawal by the former key %s: %w", id, a.Problem)
	}
	return nil
}
