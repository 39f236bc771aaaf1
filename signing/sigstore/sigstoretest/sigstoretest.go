// Package sigstoretest is a Sigstore deployment in memory, for tests: a
// certificate authority whose certificates are logged, a timestamp authority and
// a transparency log of Rekor's second version.
//
// Its certificates look like Fulcio's, and bundles made with it are checked by
// sigstore-go against its trusted root as any other. It trusts its caller.
package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet.dev/attestation"
	"repronet.dev/signing"
)

// A Sigstore is one deployment.
type Sigstore struct {
	root         *x509.Certificate
	intermediate *x509.Certificate
	issuing      *ecdsa.PrivateKey
	timestamps   *root.SigstoreTimestampingAuthority
	timestamping *ecdsa.PrivateKey
	log, ctLog   *ecdsa.PrivateKey
}

// New starts a deployment of its own.
func New(tb testing.TB) *Sigstore {
	tb.Helper()
	rootCertificate, rootKey, err := ca.GenerateRootCa()
	check(tb, err)
	intermediate, issuing, err := ca.GenerateFulcioIntermediate(rootCertificate, rootKey)
	check(tb, err)
	s := &Sigstore{root: rootCertificate, intermediate: intermediate, issuing: issuing, log: newKey(tb), ctLog: newKey(tb), timestamping: newKey(tb)}
	authority, authorityKey, err := ca.GenerateTSAIntermediate(rootCertificate, rootKey)
	check(tb, err)
	leaf, err := ca.GenerateTSALeafCert(time.Now().Add(-5*time.Minute), s.timestamping, authority, authorityKey)
	check(tb, err)
	s.timestamps = &root.SigstoreTimestampingAuthority{
		Root: rootCertificate, Intermediates: []*x509.Certificate{authority}, Leaf: leaf,
		ValidityPeriodStart: rootCertificate.NotBefore, URI: "https://timestamps.test",
	}
	return s
}

// A Part of a deployment, which a trusted root may leave out.
type Part int

// The parts that a trusted root can be without.
const (
	Timestamps Part = iota
	Log
	CertificateLog
	CertificateAuthority
)

// TrustedRoot returns the deployment's trusted_root.json.
func (s *Sigstore) TrustedRoot(tb testing.TB, without ...Part) []byte {
	tb.Helper()
	authorities := []root.CertificateAuthority{&root.FulcioCertificateAuthority{
		Root: s.root, Intermediates: []*x509.Certificate{s.intermediate}, ValidityPeriodStart: s.root.NotBefore, URI: "https://fulcio.test",
	}}
	timestamps := []root.TimestampingAuthority{s.timestamps}
	logs, ctLogs := s.transparencyLog(tb, s.log), s.transparencyLog(tb, s.ctLog)
	for _, part := range without {
		switch part {
		case Timestamps:
			timestamps = nil
		case Log:
			logs = nil
		case CertificateLog:
			ctLogs = nil
		case CertificateAuthority:
			authorities = nil
		}
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, ctLogs, timestamps, logs)
	check(tb, err)
	text, err := trusted.MarshalJSON()
	check(tb, err)
	return text
}

const logOrigin = "rekor.test"

func (s *Sigstore) transparencyLog(tb testing.TB, key *ecdsa.PrivateKey) map[string]*root.TransparencyLog {
	tb.Helper()
	id := keyID(tb, key)
	return map[string]*root.TransparencyLog{hex.EncodeToString(id): {
		BaseURL: "https://" + logOrigin, ID: id, ValidityPeriodStart: s.root.NotBefore,
		HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, PublicKey: key.Public(),
	}}
}

// A Job signs once. Its zero value does all that a good one does.
type Job struct {
	NotBefore                           time.Time // of the certificate, which is valid for ten minutes; default now
	NoSCT, NoTimestamp, NoEntry         bool
	OtherTimestamp, OtherEntry, OtherCA *Sigstore // by another deployment
}

// Sign returns a keyless bundle over a payload.
func (s *Sigstore) Sign(tb testing.TB, who signing.Identity, payload []byte, job Job) []byte {
	tb.Helper()
	key := newKey(tb)
	issuer := s
	if job.OtherCA != nil {
		issuer = job.OtherCA
	}
	certificate := issuer.issue(tb, who, key.Public(), job)
	digest := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(attestation.PayloadType), attestation.PayloadType, len(payload), payload))
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	check(tb, err)
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: certificate}},
	}
	if !job.NoTimestamp {
		authority := s
		if job.OtherTimestamp != nil {
			authority = job.OtherTimestamp
		}
		signed := sha256.Sum256(signature)
		response, err := authority.timestamp(signed[:])
		check(tb, err)
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: response}},
		}
	}
	if !job.NoEntry {
		log := s
		if job.OtherEntry != nil {
			log = job.OtherEntry
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{log.enter(tb, digest[:], signature, certificate)}
	}
	text, err := protojson.Marshal(&protobundle.Bundle{
		MediaType: signing.MediaType, VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: attestation.PayloadType, Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	})
	check(tb, err)
	return text
}

// Extensions of Fulcio's certificates: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
var (
	oidIssuer     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidRepository = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 12}
	oidSCTs       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

func (s *Sigstore) issue(tb testing.TB, who signing.Identity, key crypto.PublicKey, job Job) []byte {
	tb.Helper()
	if job.NotBefore.IsZero() {
		job.NotBefore = time.Now().Add(-time.Minute)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: job.NotBefore, NotAfter: job.NotBefore.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if u, err := url.Parse(who.Subject); err == nil && u.Host != "" {
		template.URIs = []*url.URL{u}
	} else {
		template.EmailAddresses = []string{who.Subject}
	}
	for _, extension := range []struct {
		oid   asn1.ObjectIdentifier
		value string
	}{{oidIssuer, who.Issuer}, {oidRepository, who.Repository}} {
		if extension.value == "" {
			continue
		}
		der, err := asn1.MarshalWithParams(extension.value, "utf8")
		check(tb, err)
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: extension.oid, Value: der})
	}
	issue := func() *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, s.intermediate, key, s.issuing)
		check(tb, err)
		certificate, err := x509.ParseCertificate(der)
		check(tb, err)
		return certificate
	}
	certificate := issue()
	if !job.NoSCT {
		// What the certificate log signs is this certificate without its own word.
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidSCTs, Value: s.timestamped(tb, certificate.RawTBSCertificate)})
		certificate = issue()
	}
	return certificate.Raw
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	return key
}

func keyID(tb testing.TB, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	check(tb, err)
	sum := sha256.Sum256(der)
	return sum[:]
}
