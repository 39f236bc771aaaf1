package keyless

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet.dev/attestation"
	"repronet.dev/internal/redirects"
	"repronet.dev/signing"
)

// scheme is what a key reference begins with that names no key.
const scheme = "sigstore:"

// IsReference reports whether a key reference is one that [Load] takes.
func IsReference(reference string) bool { return strings.HasPrefix(reference, scheme) }

// Absolute makes the file of a reference independent of the working directory.
func Absolute(reference string) (string, error) {
	path, err := filepath.Abs(strings.TrimPrefix(reference, scheme))
	return scheme + path, err
}

// A Signer signs in the name of the identity token that it finds. It may be used
// from several goroutines.
type Signer struct {
	services Services
	client   *http.Client

	mu        sync.Mutex // guards what follows
	certified *certified
}

// certified is a key with its certificate.
type certified struct {
	key         *ecdsa.PrivateKey
	certificate []byte // DER
	until       time.Time
}

// Load returns a signer for a reference "sigstore:FILE", where the file is a
// signing_config.json. It asks no service yet. Tokens and signatures are posted to the
// hosts that the file and the environment name, and to none that they redirect to.
func Load(reference string, client *http.Client) (*Signer, error) {
	path, ok := strings.CutPrefix(reference, scheme)
	if !ok || path == "" {
		return nil, fmt.Errorf("%.100q is not sigstore:FILE, with the signing_config.json of a Sigstore deployment", reference)
	}
	services, err := readServices(path, time.Now())
	if err != nil {
		return nil, err
	}
	return &Signer{services: services, client: redirects.On(client)}, nil
}

// Close lets go of connections.
func (s *Signer) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// SignPayload signs an in-toto statement, and returns the Sigstore bundle as JSON.
func (s *Signer) SignPayload(ctx context.Context, payload []byte) ([]byte, error) {
	bundle, err := s.signPayload(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("signing without a key: %w", err)
	}
	return bundle, nil
}

func (s *Signer) signPayload(ctx context.Context, payload []byte) ([]byte, error) {
	c, err := s.certify(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signing.PreAuthEncoding(payload))
	signature, err := c.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	timestamp, err := s.timestamp(ctx, signature)
	if err != nil {
		return nil, err
	}
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: c.certificate}},
		TimestampVerificationData: &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: timestamp}},
		},
	}
	if s.services.Log != "" {
		entry, err := s.enter(ctx, digest[:], signature, c.certificate)
		if err != nil {
			return nil, err
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	return protojson.Marshal(&protobundle.Bundle{
		MediaType: signing.MediaType, VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: attestation.PayloadType, Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	})
}

// certify returns a key with a certificate that is valid for a while yet: the
// statements of one pass need but one.
func (s *Signer) certify(ctx context.Context) (*certified, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.certified != nil && time.Now().Before(s.certified.until) {
		return s.certified, nil
	}
	token, err := s.token(ctx)
	if err != nil {
		return nil, err
	}
	name, err := subject(token)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := s.certificate(ctx, token, name, key)
	if err != nil {
		return nil, fmt.Errorf("asking for a certificate: %w", err)
	}
	// Some minutes before its end, for services that are slow or whose clock is
	// another.
	s.certified = &certified{key, certificate.Raw, certificate.NotAfter.Add(-5 * time.Minute)}
	return s.certified, nil
}

type object = map[string]any

// certificate asks Fulcio for a certificate:
// https://github.com/sigstore/fulcio/blob/main/fulcio.proto
func (s *Signer) certificate(ctx context.Context, token, name string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(name))
	proof, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	answer, err := s.post(ctx, s.services.CertificateAuthority+"/api/v2/signingCert", object{
		"credentials": object{"oidcIdentityToken": token},
		"publicKeyRequest": object{
			"publicKey":         object{"algorithm": "ECDSA", "content": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
			"proofOfPossession": proof,
		},
	}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	type chain struct {
		Chain struct {
			Certificates []string `json:"certificates"`
		} `json:"chain"`
	}
	var issued struct {
		Embedded chain `json:"signedCertificateEmbeddedSct"`
		Detached chain `json:"signedCertificateDetachedSct"`
	}
	if err := json.Unmarshal(answer, &issued); err != nil {
		return nil, err
	}
	certificates := append(issued.Embedded.Chain.Certificates, issued.Detached.Chain.Certificates...)
	if len(certificates) == 0 {
		return nil, errors.New("the answer has none")
	}
	block, _ := pem.Decode([]byte(certificates[0]))
	if block == nil {
		return nil, errors.New("the answer has none that can be read")
	}
	return x509.ParseCertificate(block.Bytes)
}

// enter puts the signature into the transparency log:
// https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md
func (s *Signer) enter(ctx context.Context, digest, signature, certificate []byte) (*protorekor.TransparencyLogEntry, error) {
	answer, err := s.post(ctx, s.services.Log+"/api/v2/log/entries", object{"hashedRekordRequestV002": object{
		"digest": digest,
		"signature": object{"content": signature, "verifier": object{
			"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": object{"rawBytes": certificate},
		}},
	}}, http.StatusCreated)
	if err != nil {
		return nil, fmt.Errorf("writing to the transparency log: %w", err)
	}
	var entry protorekor.TransparencyLogEntry
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, &entry); err != nil {
		return nil, errors.New("writing to the transparency log: the answer is no entry")
	}
	return &entry, nil
}

func (s *Signer) post(ctx context.Context, address string, body object, want int) ([]byte, error) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	return s.do(request, want)
}

// maxAnswer bounds an answer in bytes.
const maxAnswer = 1 << 20

// do returns the body of an answer with one of the wanted statuses.
func (s *Signer) do(request *http.Request, want ...int) ([]byte, error) {
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if !slices.Contains(want, response.StatusCode) {
		return nil, fmt.Errorf("%s answered %s: %.300q", request.URL.Host, response.Status, body)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is larger than %d bytes", request.URL.Host, maxAnswer)
	}
	return body, nil
}
