package sigstoretest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// timestamped returns the extension with the certificate log's promise to take a
// certificate in: RFC 6962, section 3.2 and 3.3.
func (s *Sigstore) timestamped(tb testing.TB, tbs []byte) []byte {
	tb.Helper()
	issuer, err := x509.MarshalPKIXPublicKey(s.issuing.Public())
	check(tb, err)
	issuerHash := sha256.Sum256(issuer)

	signed := []byte{0, 0} // v1, certificate_timestamp
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	signed = append(signed, at...)
	signed = append(signed, 0, 1) // precert_entry
	signed = append(signed, issuerHash[:]...)
	signed = append(signed, byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
	signed = append(signed, tbs...)
	signed = append(signed, 0, 0) // no extensions
	digest := sha256.Sum256(signed)
	signature, err := s.ctLog.Sign(rand.Reader, digest[:], crypto.SHA256)
	check(tb, err)

	sct := append([]byte{0}, keyID(tb, s.ctLog)...)
	sct = append(sct, at...)
	sct = append(sct, 0, 0, 4, 3) // no extensions; SHA-256, ECDSA
	sct = binary.BigEndian.AppendUint16(sct, uint16(len(signature)))
	sct = append(sct, signature...)
	list := binary.BigEndian.AppendUint16(nil, uint16(len(sct)+2))
	list = binary.BigEndian.AppendUint16(list, uint16(len(sct)))
	der, err := asn1.Marshal(append(list, sct...))
	check(tb, err)
	return der
}

// enter puts a signature into a log of its own with one entry, as Rekor's second
// version writes it: hashedrekord 0.0.2 in canonical JSON.
func (s *Sigstore) enter(tb testing.TB, digest, signature, certificate []byte) *protorekor.TransparencyLogEntry {
	tb.Helper()

	body, err := json.Marshal(object{
		"apiVersion": "0.0.2", "kind": "hashedrekord",
		"spec": object{"hashedRekordV002": object{
			"data": object{"algorithm": "SHA2_256", "digest": digest},
			"signature": object{"content": signature, "verifier": object{
				"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": object{"rawBytes": certificate},
			}},
		}},
	})
	check(tb, err)
	leaf := sha256.Sum256(append([]byte{0}, body...))
	return &protorekor.TransparencyLogEntry{
		LogId: &protocommon.LogId{KeyId: keyID(tb, s.log)}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			TreeSize: 1, RootHash: leaf[:], Checkpoint: &protorekor.Checkpoint{Envelope: s.checkpoint(tb, leaf[:])},
		},
	}
}

func (s *Sigstore) checkpoint(tb testing.TB, root []byte) string {
	tb.Helper()
	text := fmt.Sprintf("%s\n1\n%s\n", logOrigin, base64.StdEncoding.EncodeToString(root))
	digest := sha256.Sum256([]byte(text))
	signature, err := s.log.Sign(rand.Reader, digest[:], crypto.SHA256)
	check(tb, err)
	// An ECDSA key's name in a note: the first four bytes of its SHA-256.
	named := append(keyID(tb, s.log)[:4:4], signature...)
	return fmt.Sprintf("%s\n— %s %s\n", text, logOrigin, base64.StdEncoding.EncodeToString(named))
}

// object is one of JSON; encoding/json sorts its members.
type object = map[string]any
