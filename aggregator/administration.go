package aggregator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/published"
	"repronet.dev/signing"
)

// Administration returns what does the administrative calls: the one place that says
// which function each of them is.
func (a *Aggregator) Administration() *admin.Service {
	operator := administration{a}
	return admin.NewService(
		admin.Attach.ByWith(operator.attach),
		admin.Enrol.By(operator.enrol),
		admin.Revoke.By(operator.revoke),
		admin.Builders.By(operator.builders),
		admin.ListPending.By(operator.pending),
		admin.Approve.By(operator.approve),
		admin.Reject.By(operator.reject),
		admin.Vouch.By(operator.vouch),
		admin.PublishSet.ByWith(operator.publishSet),
		admin.RetireSet.By(operator.retireSet),
		admin.ListSets.By(operator.listSets),
		admin.ShowSet.By(operator.showSet),
		admin.DiffSets.By(operator.diffSets),
		admin.Erase.By(operator.erase),
		admin.Reindex.ByWith(operator.reindex),
		admin.MakeSnapshot.ByWith(operator.makeSnapshot),
		admin.Subscribe.By(a.notifier.Subscribe),
		admin.ListSubscriptions.By(operator.subscriptions),
		admin.Unsubscribe.By(operator.unsubscribe),
		admin.TestSubscription.By(operator.testSubscription),
	)
}

// administration is what the aggregator does for its operator.
type administration struct{ *Aggregator }

func (a administration) attach(_ context.Context, _ admin.None, streams admin.Streams) (admin.Attached, error) {
	id, err := a.ledger.attachments.Put(streams.Input)
	return admin.Attached{SHA256: attestation.Digest(id)}, err
}

func (a administration) enrol(ctx context.Context, e enrolment.Enrolment) (admin.Written, error) {
	index, err := a.ingest.Enrol(ctx, &e)
	return admin.Written{Index: index}, err
}

func (a administration) revoke(ctx context.Context, r admin.Revocation) (admin.Revoked, error) {
	b, err := a.named(r.Builder)
	if err != nil {
		return admin.Revoked{}, err
	}
	index, err := a.ingest.Revoke(ctx, b.ID, r.From, r.Reason)
	revoked := admin.Revoked{Builder: b.ID, Operator: b.Operator, Index: index, From: index}
	if r.From != nil {
		revoked.From = min(*r.From, index)
	}
	return revoked, err
}

func (a administration) builders(context.Context, admin.None) ([]api.RosterBuilder, error) {
	builders := published.Builders(a.roster)
	for i := range builders {
		a.markErased(&builders[i])
	}
	return append([]api.RosterBuilder{}, builders...), nil // [] in JSON, never null
}

// markErased marks the certificates that were erased.
func (a *Aggregator) markErased(b *api.RosterBuilder) {
	for i, c := range b.OpenPGP {
		if sum, err := attestation.ParseDigest(c.Certificate); err == nil {
			b.OpenPGP[i].Erased = a.erased(sum)
		}
	}
}

func (a administration) pending(ctx context.Context, _ admin.None) ([]admin.Pending, error) {
	return a.joining.Pending(ctx)
}

func (a administration) approve(ctx context.Context, decision admin.Approval) (admin.Approved, error) {
	return a.joining.Approve(ctx, decision)
}

func (a administration) reject(ctx context.Context, decision admin.Rejection) (admin.Rejected, error) {
	return a.joining.Reject(ctx, decision)
}

func (a administration) vouch(ctx context.Context, who admin.Vouching) (admin.Vouched, error) {
	return a.joining.Vouch(ctx, who.Name)
}

func (a administration) erase(ctx context.Context, e admin.Erasure) (admin.Written, error) {
	index, err := a.ingest.Erase(ctx, &enrolment.Erasure{Attachment: e.Attachment, Reason: e.Reason}, a.ledger.attachments)
	return admin.Written{Index: index}, err
}

func (a administration) reindex(ctx context.Context, _ admin.None, streams admin.Streams) (admin.Reindexed, error) {
	entries := a.log.Size()
	fmt.Fprintf(streams.Progress, "making the index anew from %d ledger entries\n", entries)
	err := a.index.Reindex(ctx)
	if err != nil && a.keeper.isDamage(err) {
		fmt.Fprintf(streams.Progress, "the index is damaged (%v): it is set aside\n", err)
		if err = a.keeper.remake(ctx); err == nil {
			err = errors.Join(a.index.CatchUp(ctx), a.index.RollUp(ctx))
		}
	}
	if err != nil {
		return admin.Reindexed{}, err
	}
	return admin.Reindexed{Entries: entries}, nil
}

// named returns the enrolled builder whose ID begins with a text, if it is one.
func (a administration) named(text string) (enrolment.Builder, error) {
	var ids []signing.BuilderID
	for b := range a.roster.All() {
		if strings.HasPrefix(string(b.ID), text) {
			ids = append(ids, b.ID)
		}
	}
	id, err := admin.Resolve(text, ids)
	if err != nil {
		return enrolment.Builder{}, err
	}
	if id == "" {
		return enrolment.Builder{}, admin.Errorf(admin.NotFound, "no enrolled builder has an ID that begins with %q: 'builders list' lists them", text)
	}
	b, _ := a.roster.Builder(id)
	return b, nil
}
