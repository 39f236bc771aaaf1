package sigstore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"repronet.dev/signing"
)

// MaxTrustedRootSize bounds a trusted_root.json in bytes. That of the public
// Sigstore has 7 kB.
const MaxTrustedRootSize = 512 << 10

// maxAuthorities bounds the authorities and logs of one kind in a trusted root:
// each signature is tried with all of them.
const maxAuthorities = 32

// A TrustedRoot holds the authorities and logs of one Sigstore deployment. It may
// be used from several goroutines.
type TrustedRoot struct {
	verifier *verify.Verifier
}

// ParseTrustedRoot reads a trusted_root.json. It must name a certificate
// authority, and a timestamp authority or a transparency log.
func ParseTrustedRoot(text []byte) (*TrustedRoot, error) {
	if len(text) > MaxTrustedRootSize {
		return nil, fmt.Errorf("trusted root of %d bytes: at most %d are accepted", len(text), MaxTrustedRootSize)
	}
	parsed, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("parsing trusted root: %w", err)
	}
	authorities, timestamps := len(parsed.FulcioCertificateAuthorities()), len(parsed.TimestampingAuthorities())
	logs, ctLogs := len(parsed.RekorLogs()), len(parsed.CTLogs())
	switch {
	case authorities == 0:
		return nil, errors.New("parsing trusted root: it names no certificate authority")
	case timestamps+logs == 0:
		return nil, errors.New("parsing trusted root: it names neither a timestamp authority nor a log, so that nothing could prove when a certificate signed")
	case max(authorities, timestamps, logs, ctLogs) > maxAuthorities:
		return nil, fmt.Errorf("parsing trusted root: it names more than %d authorities or logs of a kind", maxAuthorities)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if logs > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if ctLogs > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	verifier, err := verify.NewVerifier(parsed, options...)
	if err != nil {
		return nil, fmt.Errorf("parsing trusted root: %w", err)
	}
	return &TrustedRoot{verifier}, nil
}

// OpenKeyless checks a keyless bundle completely: that an authority of the root
// issued the certificate, that it was logged where the root has certificate logs,
// that the signature is that of its key, was made while it was valid by the word of
// a timestamp authority or log, and is in a transparency log where the root has
// any. It returns the payload, in-toto statements only, which the caller parses,
// and the earliest time at which it is proven to have been signed. Nothing is
// compared with the clock. The errors wrap [signing.ErrMalformed], [signing.ErrTooLarge] or
// [signing.ErrSignature].
//
// Which identities to believe is the caller's: see [signing.IdentityRule].
func (r *TrustedRoot) OpenKeyless(bundleJSON []byte, payloadType string) (payload []byte, who signing.Identity, signedAt time.Time, err error) {
	u, err := parseBundle(bundleJSON)
	if err != nil {
		return nil, signing.Identity{}, time.Time{}, err
	}
	if got := u.Message().GetDsseEnvelope().GetPayloadType(); got != payloadType {
		return nil, signing.Identity{}, time.Time{}, fmt.Errorf("%w bundle: payloadType is %.60q, want %q", signing.ErrMalformed, got, payloadType)
	}
	who, err = u.identity()
	if err != nil {
		return nil, signing.Identity{}, time.Time{}, err
	}
	signedAt, err = r.check(u)
	if err != nil {
		return nil, signing.Identity{}, time.Time{}, err
	}
	return u.Payload, who, signedAt, nil
}

// check returns the earliest proven time of signing.
func (r *TrustedRoot) check(u *unverified) (time.Time, error) {
	// The payload is for another, stricter reader, and who signed for rules of
	// another form: what is checked here is that an identity did.
	result, err := r.verifier.Verify(u.bundle, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %.500s", signing.ErrSignature, err.Error())
	}
	if result.Signature == nil || result.Signature.Certificate == nil || len(result.VerifiedTimestamps) == 0 {
		return time.Time{}, fmt.Errorf("%w: no certificate or no proof of when it signed", signing.ErrSignature)
	}
	earliest := result.VerifiedTimestamps[0].Timestamp
	for _, t := range result.VerifiedTimestamps[1:] {
		if t.Timestamp.Before(earliest) {
			earliest = t.Timestamp
		}
	}
	return earliest.UTC(), nil
}

// identity returns the identity in the certificate, which is not checked.
func (u *unverified) identity() (signing.Identity, error) {
	if u.Certificate == nil {
		return signing.Identity{}, fmt.Errorf("%w bundle: it names a key, not a certificate", signing.ErrMalformed)
	}
	parsed, err := x509.ParseCertificate(u.Certificate)
	if err != nil {
		return signing.Identity{}, fmt.Errorf("%w bundle: certificate: %.200s", signing.ErrMalformed, err.Error())
	}
	summary, err := certificate.SummarizeCertificate(parsed)
	if err != nil {
		return signing.Identity{}, fmt.Errorf("%w bundle: certificate: %.200s", signing.ErrMalformed, err.Error())
	}
	return signing.Identity{Issuer: summary.Issuer, Subject: summary.SubjectAlternativeName, Repository: summary.SourceRepositoryURI}, nil
}

// Keyless is a builder that signs by its identity, and what its certificates are
// checked against.
type Keyless struct {
	Builder signing.BuilderID
	Root    *TrustedRoot
	// NotBefore and NotAfter bound when its bundles are taken; zero: not at all.
	NotBefore, NotAfter time.Time
}

// KeylessLookup returns the builder whose rule matches an identity, or an error
// that wraps [signing.ErrUnknownBuilder] or [signing.ErrKeyNotValid]; any other says that its
// trusted root cannot be had now. It is called before the identity is proven,
// from several goroutines.
type KeylessLookup func(context.Context, signing.Identity) (Keyless, error)

func (u *unverified) signedKeyless(ctx context.Context, lookup KeylessLookup, at time.Time) (signing.BuilderID, error) {
	who, err := u.identity()
	if err != nil {
		return "", err
	}
	builder, err := lookup(ctx, who)
	if err != nil {
		return "", err
	}
	if err := (signing.Key{NotBefore: builder.NotBefore, NotAfter: builder.NotAfter}).CheckValid(at); err != nil {
		return "", err
	}
	if _, err := builder.Root.check(u); err != nil {
		return "", err
	}
	return builder.Builder, nil
}

// IsRefusal reports whether an error of [OpenAny] is about the bundle or its
// builder. Any other says that a trusted root cannot be had now.
func IsRefusal(err error) bool {
	for _, sentinel := range []error{signing.ErrMalformed, signing.ErrTooLarge, signing.ErrUnknownBuilder, signing.ErrKeyNotValid, signing.ErrSignature} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
