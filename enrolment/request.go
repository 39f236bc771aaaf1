package enrolment

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/enrolment/request"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// A Request is a request to be enrolled whose sender is proven to hold the key,
// and, where it replaces another builder's, that builder's key too. Only
// [OpenRequest] makes one.
type Request struct {
	asked    *request.Request
	payload  []byte
	document []byte
	identity []byte // bundle, not checked
}

// Asked returns what is asked for. Callers must not change it.
func (r *Request) Asked() *request.Request { return r.asked }

// Builder is who wants to be enrolled.
func (r *Request) Builder() signing.BuilderID { return r.asked.PublicKey.Builder() }

// Document returns the request with its signatures, byte for byte as it came.
func (r *Request) Document() []byte { return r.document }

// HasIdentity tells that a bundle of a Sigstore identity came with the request.
// It is not checked yet.
func (r *Request) HasIdentity() bool { return len(r.identity) > 0 }

// ErrRequest is wrapped by the errors about a request that cannot be right,
// before its signature is looked at: its form, another ledger's, or not made just now.
var ErrRequest = errors.New("not a request that can be taken")

// OpenRequest checks a document completely but for its identity: that its
// request is meant for the ledger of this origin and was made just before now,
// that the key it names signed it, and, where it replaces a builder, that this
// builder's key may sign now and did. The errors wrap [ErrRequest] or one of
// package signing's sentinels.
func OpenRequest(document []byte, origin string, lookup sigstore.Lookup, now time.Time) (*Request, error) {
	d, err := request.ParseDocument(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	named, err := signing.ParseBundle(d.Request)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	asked, err := request.Parse(named.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	payload, err := sigstore.OpenPayload(d.Request, asked.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if asked.Origin != origin {
		return nil, fmt.Errorf("%w: it is meant for the ledger %.100q, this is %q", ErrRequest, asked.Origin, origin)
	}
	if err := asked.CheckFresh(now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := checkEndorsement(d, asked, payload, lookup, now); err != nil {
		return nil, err
	}
	return &Request{asked: asked, payload: payload, document: document, identity: d.Identity}, nil
}

func checkEndorsement(d *request.Document, asked *request.Request, payload []byte, lookup sigstore.Lookup, now time.Time) error {
	if asked.Replaces == "" {
		if len(d.Endorsement) > 0 {
			return fmt.Errorf("%w: an endorsement, but replaces names no builder", ErrRequest)
		}
		return nil
	}
	older, err := lookup(asked.Replaces)
	if err != nil {
		return fmt.Errorf("endorsement: %w", err)
	}
	if older.PublicKey == nil {
		return fmt.Errorf("endorsement: %w: builder %s signs no requests", signing.ErrKeyNotValid, asked.Replaces)
	}
	if err := older.CheckValid(now); err != nil {
		return fmt.Errorf("endorsement: %w", err)
	}
	endorsed, err := sigstore.OpenPayload(d.Endorsement, older.PublicKey)
	if err != nil {
		return fmt.Errorf("endorsement: %w", err)
	}
	if !bytes.Equal(endorsed, payload) {
		return fmt.Errorf("endorsement: %w: builder %s endorsed another request", signing.ErrSignature, asked.Replaces)
	}
	return nil
}

// Identity checks the bundle of a Sigstore identity that came with the request:
// that the root's authorities certify it, and that it signed this very request.
// The errors wrap one of package signing's sentinels.
func (r *Request) Identity(root *sigstore.TrustedRoot) (signing.Identity, error) {
	payload, who, _, err := root.OpenKeyless(r.identity, attestation.PayloadType)
	if err != nil {
		return signing.Identity{}, fmt.Errorf("identity: %w", err)
	}
	if !bytes.Equal(payload, r.payload) {
		return signing.Identity{}, fmt.Errorf("identity: %w: %s signed another request", signing.ErrSignature, who)
	}
	return who, nil
}
