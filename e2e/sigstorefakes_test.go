//go:build long

package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	stdjson "encoding/json"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
)

// startIssuer serves identity tokens as GitHub Actions does to jobs: /token of a
// repository for whoever asks. It returns the issuer's URL.
func startIssuer(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	issuer := listen(t, mux)
	answer := func(w http.ResponseWriter, value any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.MarshalWrite(w, value)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, object{"issuer": issuer, "jwks_uri": issuer + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, object{"keys": []object{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a job's" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		repository, now := r.FormValue("repository"), time.Now()
		claims, err := stdjson.Marshal(object{
			"iss": issuer, "aud": r.FormValue("audience"), "sub": "repo:" + repository + ":ref:refs/heads/main",
			"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"job_workflow_ref": repository + jobWorkflow, "workflow_ref": repository + jobWorkflow, "repository": repository,
			"sha": "0123456789012345678901234567890123456789", "job_workflow_sha": "0123456789012345678901234567890123456789",
			"workflow_sha": "0123456789012345678901234567890123456789", "event_name": "push", "workflow": "rebuild", "ref": "refs/heads/main",
			"runner_environment": "github-hosted", "repository_id": "1", "repository_owner": "org", "repository_owner_id": "2",
			"repository_visibility": "public", "run_id": "3", "run_attempt": "1",
		})
		if err != nil {
			panic(err)
		}
		signed := encode([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + encode(claims)
		digest := sha256.Sum256([]byte(signed))
		signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			panic(err)
		}
		answer(w, object{"value": signed + "." + encode(signature)})
	})
	return issuer
}

// A ctLog promises to take every certificate in (RFC 6962), and forgets it.
type ctLog struct {
	key *ecdsa.PrivateKey
	url string
}

func newCTLog(t *testing.T) *ctLog {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	log := &ctLog{key: key}
	log.url = listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request ct.AddChainRequest
		err := json.UnmarshalRead(r.Body, &request)
		var response *ct.AddChainResponse
		if err == nil {
			response, err = log.promise(request.Chain)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.MarshalWrite(w, response)
	}))
	return log
}

func (l *ctLog) promise(raw [][]byte) (*ct.AddChainResponse, error) {
	chain := make([]ct.ASN1Cert, len(raw))
	for i, der := range raw {
		chain[i] = ct.ASN1Cert{Data: der}
	}
	der, err := x509.MarshalPKIXPublicKey(l.key.Public())
	if err != nil {
		return nil, err
	}
	now := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromRawChain(chain, ct.PrecertLogEntryType, now)
	if err != nil {
		return nil, err
	}
	promise := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: sha256.Sum256(der)}, Timestamp: now}
	signed, err := ct.SerializeSCTSignatureInput(promise, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signed)
	signature, err := l.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	text, err := tls.Marshal(tls.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA}, Signature: signature,
	})
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: promise.LogID.KeyID[:], Timestamp: now, Signature: text}, err
}
