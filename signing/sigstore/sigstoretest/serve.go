package sigstoretest

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"google.golang.org/protobuf/encoding/protojson"

	"repronet.dev/signing"
)

// timestamp says that a digest exists now: RFC 3161.
func (s *Sigstore) timestamp(digest []byte) ([]byte, error) {
	said := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: digest, Time: time.Now(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: true,
	}
	return said.CreateResponseWithOpts(s.timestamps.Leaf, s.timestamping, crypto.SHA256)
}

// Token returns an identity token that the deployment's issuer would give to
// somebody. Nobody signed it.
func Token(who signing.Identity) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]string{"iss": who.Issuer, "sub": who.Subject, "repository": who.Repository})
	if err != nil {
		panic(err)
	}
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + "."
}

// Serve answers to reporters as the services do, and returns a signing_config.json.
// Its authority believes every [Token].
func (s *Sigstore) Serve(tb testing.TB) string {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/signingCert", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Credentials struct{ OIDCIdentityToken string }
			Request     struct {
				PublicKey struct{ Content string }
			} `json:"publicKeyRequest"`
		}
		check(tb, json.NewDecoder(r.Body).Decode(&asked))
		parts := strings.Split(asked.Credentials.OIDCIdentityToken, ".")
		text, err := base64.RawURLEncoding.DecodeString(parts[1])
		check(tb, err)
		var claims struct{ Iss, Sub, Repository string }
		check(tb, json.Unmarshal(text, &claims))
		block, _ := pem.Decode([]byte(asked.Request.PublicKey.Content))
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		check(tb, err)
		issued := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.issue(tb, signing.Identity{
			Issuer: claims.Iss, Subject: claims.Sub, Repository: claims.Repository,
		}, key, Job{})})
		check(tb, json.NewEncoder(w).Encode(object{"signedCertificateEmbeddedSct": object{"chain": object{"certificates": []string{string(issued)}}}}))
	})
	mux.HandleFunc("POST /api/v1/timestamp", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		check(tb, err)
		asked, err := timestamp.ParseRequest(text)
		check(tb, err)
		response, err := s.timestamp(asked.HashedMessage)
		check(tb, err)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(response)
	})
	mux.HandleFunc("POST /api/v2/log/entries", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Request struct {
				Digest    []byte
				Signature struct {
					Content  []byte
					Verifier struct {
						X509Certificate struct{ RawBytes []byte }
					}
				}
			} `json:"hashedRekordRequestV002"`
		}
		check(tb, json.NewDecoder(r.Body).Decode(&asked))
		signature := asked.Request.Signature
		entry, err := protojson.Marshal(s.enter(tb, asked.Request.Digest, signature.Content, signature.Verifier.X509Certificate.RawBytes))
		check(tb, err)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(entry)
	})
	server := httptest.NewServer(mux)
	tb.Cleanup(server.Close)
	service := func(path string, version int) []object {
		return []object{{"url": server.URL + path, "majorApiVersion": version, "validFor": object{"start": "2020-01-01T00:00:00Z"}}}
	}
	text, err := json.Marshal(object{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "caUrls": service("", 1), "tsaUrls": service("/api/v1/timestamp", 1), "rekorTlogUrls": service("", 2)})
	check(tb, err)
	path := filepath.Join(tb.TempDir(), "signing_config.json")
	check(tb, os.WriteFile(path, text, 0o600))
	return path
}
