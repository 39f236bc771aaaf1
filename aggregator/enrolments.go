package aggregator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"repronet/aggregator/admin"
	"repronet/aggregator/joining"
	"repronet/aggregator/state"
	"repronet/internal/durable"
	"repronet/ledger"
	"repronet/signing"
)

// openJoining opens what is no evidence, and the way in for new builders.
func (a *Aggregator) openJoining(ctx context.Context) (err error) {
	if a.state, err = state.Open(ctx, filepath.Join(a.config.Data, "state.db")); err != nil {
		return err
	}
	secret, err := loadOrCreateSecret(filepath.Join(a.config.Data, "pseudonyms.key"))
	if err != nil {
		return err
	}
	policy, err := a.config.Admit.policy()
	if err != nil {
		return err
	}
	a.joining = joining.New(joining.Config{
		Origin: a.config.Origin, Policy: policy, Pseudonyms: secret, Logger: a.deps.Logger,
	}, a.state, a.roster, enroller{a})
	return nil
}

// loadOrCreateSecret reads 32 random bytes. They must stay the same: with others
// the identities that are enrolled would become other operators.
func loadOrCreateSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, 32)
		rand.Read(secret)
		return secret, durable.WriteFile(path, []byte(hex.EncodeToString(secret)+"\n"), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the secret of pseudonyms: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("reading the secret of pseudonyms: %s does not hold 64 hexadecimal digits: restore it from a backup", path)
	}
	return secret, nil
}

// enroller is the ledger as package joining writes to it.
type enroller struct{ *Aggregator }

func (e enroller) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	return e.log.Receipt(ctx, index)
}

// Pending implements [admin.Joining].
func (a *Aggregator) Pending(ctx context.Context) ([]admin.Pending, error) {
	return a.joining.Pending(ctx)
}

// Approve implements [admin.Joining].
func (a *Aggregator) Approve(ctx context.Context, decision admin.Approval) (uint64, string, error) {
	return a.joining.Approve(ctx, decision)
}

// Reject implements [admin.Joining].
func (a *Aggregator) Reject(ctx context.Context, builder signing.BuilderID, reason string) error {
	return a.joining.Reject(ctx, builder, reason)
}

// Vouch implements [admin.Joining].
func (a *Aggregator) Vouch(ctx context.Context, name string) ([]signing.BuilderID, string, error) {
	return a.joining.Vouch(ctx, name)
}
