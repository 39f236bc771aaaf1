package keyless

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/http"
)

// timestampRequest is TimeStampReq of RFC 3161, section 2.4.1.
type timestampRequest struct {
	Version int
	Imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Hash      []byte
	}
	Nonce              *big.Int
	IncludeCertificate bool
}

// timestamp asks when the signature was made, and returns the response.
func (s *Signer) timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signature)
	asked := timestampRequest{Version: 1, Nonce: nonce, IncludeCertificate: true}
	asked.Imprint.Algorithm = pkix.AlgorithmIdentifier{
		Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, Parameters: asn1.NullRawValue, // SHA-256
	}
	asked.Imprint.Hash = digest[:]
	der, err := asn1.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.services.TimestampAuthority, bytes.NewReader(der))
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	answer, err := s.do(request, http.StatusCreated, http.StatusOK) // Sigstore's says the one, others the other
	if err != nil {
		return nil, fmt.Errorf("asking for a timestamp: %w", err)
	}
	return answer, nil
}
