package aggregator

import (
	"context"
	"io"
	"path/filepath"

	"repronet.dev/aggregator/fair"
	"repronet.dev/aggregator/joining"
	"repronet.dev/aggregator/state"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
)

// openJoining opens what is no evidence, and prepares the way in for new builders.
func (a *Aggregator) openJoining(ctx context.Context) (err error) {
	policy, err := a.config.Admit.policy()
	if err != nil {
		return err
	}
	if a.state, err = state.Open(ctx, filepath.Join(a.config.Data, stateFile)); err != nil {
		return err
	}
	proxies, err := a.config.proxies()
	if err != nil {
		return err
	}
	a.joining = joining.New(joining.Config{
		Origin: a.config.Origin, Policy: policy, Networks: fair.Behind(proxies), Logger: a.deps.Logger,
	}, a.state, a.roster, enroller{a})
	return a.restoreBudgets(ctx)
}

// enroller is the ledger as package joining writes to it.
type enroller struct{ *Aggregator }

func (e enroller) Enrol(ctx context.Context, enrolment *enrolment.Enrolment) (uint64, error) {
	return e.ingest.Enrol(ctx, enrolment)
}

func (e enroller) Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (uint64, error) {
	return e.ingest.Revoke(ctx, builder, from, reason)
}

func (e enroller) Attach(_ context.Context, content io.Reader) (attestation.Digest, error) {
	id, err := e.ledger.attachments.Put(content)
	return attestation.Digest(id), err
}

func (e enroller) Receipt(ctx context.Context, index uint64) (*ledger.Receipt, error) {
	return e.log.Receipt(ctx, index)
}
