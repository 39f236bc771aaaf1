package keyless

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
)

// token returns an identity token: the environment's SIGSTORE_ID_TOKEN, the file
// that SIGSTORE_ID_TOKEN_FILE names, or what GitHub Actions hands out to a job
// with the permission "id-token: write".
func (s *Signer) token(ctx context.Context) (string, error) {
	if text := os.Getenv("SIGSTORE_ID_TOKEN"); text != "" {
		return strings.TrimSpace(text), nil
	}
	if path := os.Getenv("SIGSTORE_ID_TOKEN_FILE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading the identity token: %w", err)
		}
		return string(bytes.TrimSpace(text)), nil
	}
	address, bearer := os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || bearer == "" {
		return "", errors.New(`no identity token: give SIGSTORE_ID_TOKEN (audience "sigstore") or SIGSTORE_ID_TOKEN_FILE; a job of GitHub Actions needs the permission "id-token: write"`)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("asking for an identity token: ACTIONS_ID_TOKEN_REQUEST_URL: %w", err)
	}
	query := u.Query()
	query.Set("audience", "sigstore")
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	answer, err := s.do(request, http.StatusOK)
	if err != nil {
		return "", fmt.Errorf("asking for an identity token: %w", err)
	}
	var given struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(answer, &given); err != nil || given.Value == "" {
		return "", errors.New("asking for an identity token: the answer has none")
	}
	return given.Value, nil
}

// subject returns what a certificate authority wants signed as proof that the key
// is there: the token's e-mail address, or its subject. It checks the token.
func subject(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the identity token is no JSON Web Token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("the identity token is no JSON Web Token")
	}
	var claims struct {
		Subject string `json:"sub"`
		Email   string `json:"email"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return "", fmt.Errorf("the identity token is no JSON Web Token: %w", err)
	}
	switch {
	case claims.Email != "":
		return claims.Email, nil
	case claims.Subject != "":
		return claims.Subject, nil
	default:
		return "", errors.New("the identity token names no subject")
	}
}
