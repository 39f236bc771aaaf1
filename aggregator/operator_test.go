package aggregator

import (
	"context"
	"io"

	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
)

// What tests have the operator of a world do, each as the administrative call of its name.

func (w *world) Attach(ctx context.Context, content io.Reader) (attestation.Digest, error) {
	stored, err := admin.Attach.DoWith(ctx, w.Administration(), admin.None{}, admin.Streams{Input: content})
	return stored.SHA256, err
}

func (w *world) Enrol(ctx context.Context, e *enrolment.Enrolment) (uint64, error) {
	written, err := admin.Enrol.Do(ctx, w.Administration(), *e)
	return written.Index, err
}

func (w *world) Revoke(ctx context.Context, builder signing.BuilderID, from *uint64, reason string) (uint64, error) {
	revoked, err := admin.Revoke.Do(ctx, w.Administration(), admin.Revocation{Builder: string(builder), From: from, Reason: reason})
	return revoked.Index, err
}

func (w *world) Erase(ctx context.Context, attachment attestation.Digest, reason string) (uint64, error) {
	written, err := admin.Erase.Do(ctx, w.Administration(), admin.Erasure{Attachment: attachment, Reason: reason})
	return written.Index, err
}

func (w *world) Builders(ctx context.Context) ([]api.RosterBuilder, error) {
	return admin.Builders.Do(ctx, w.Administration(), admin.None{})
}

func (w *world) Vouch(ctx context.Context, name string) (moved []signing.BuilderID, operator string, err error) {
	vouched, err := admin.Vouch.Do(ctx, w.Administration(), admin.Vouching{Name: name})
	return vouched.Moved, vouched.Operator, err
}

// PublishSet publishes a set, also one that shrinks.
func (w *world) PublishSet(ctx context.Context, set admin.Set, list io.Reader) (admin.Published, error) {
	set.Shrink = true
	return admin.PublishSet.DoWith(ctx, w.Administration(), set, admin.Streams{Input: list})
}
