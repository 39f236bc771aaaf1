package aggregator

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAdmitConfig(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "trusted_root.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	who := AdmitIdentity{Issuer: "https://accounts.example.com", Subject: `^[a-z]+@example\.com$`}
	half := who
	half.Subject = "^alice"
	for name, tt := range map[string]struct {
		admit Admit
		want  string
	}{
		"nobody":                         {Admit{}, ""},
		"a root and nobody":              {Admit{TrustedRoot: broken}, "want trusted_root and identities"},
		"somebody and no root":           {Admit{Identities: []AdmitIdentity{who}}, "want trusted_root and identities"},
		"a subject of which a part fits": {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{half}}, "admit.identities: identity"},
		"no issuer":                      {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{{Subject: "x"}}}, "no issuer"},
		"a root that is none":            {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{who}}, "trusted_root.json"},
		"a root that is not there":       {Admit{TrustedRoot: broken + "x", Identities: []AdmitIdentity{who}}, "admit.trusted_root: reading it: open "},
	} {
		err := tt.admit.validate()
		if err == nil {
			_, err = tt.admit.policy()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

// The secret of the pseudonyms stays what it is once an operator is named by it, or the
// server does not start.
func TestPseudonymsSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pseudonyms.key")
	first, err := (&secretFile{path: path}).open()
	if err != nil || len(first) != 32 {
		t.Fatalf("%x, %v", first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const other = "abababababababababababababababababababababababababababababababab\n"
	for name, tt := range map[string]struct {
		text           string // "" stands for no file
		known          string
		named, replace bool
		want           string // in the error; "" stands for none
	}{
		"the same":                      {text: string(kept), known: fingerprint(first), named: true},
		"not known yet":                 {text: string(kept), named: true},
		"replaced before it was in use": {text: other, known: fingerprint(first)},
		"replaced":                      {text: other, known: fingerprint(first), named: true, want: "not the one"},
		"replaced on purpose":           {text: other, known: fingerprint(first), named: true, replace: true},
		"missing before it was in use":  {known: fingerprint(first)},
		"missing":                       {known: fingerprint(first), named: true, want: "is missing"},
		"missing with the state":        {named: true, want: "serve --new-pseudonyms"},
		"lost on purpose":               {named: true, replace: true},
		"damaged":                       {text: "short\n", want: "restore it from a backup"},
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if tt.text != "" {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		secret, err := (&secretFile{path: path, known: tt.known, named: tt.named, replace: tt.replace}).open()
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error %v, want %q", name, err, tt.want)
			}
			continue
		}
		if err != nil || len(secret) != 32 || tt.text == string(kept) && !bytes.Equal(secret, first) {
			t.Errorf("%s: %x, %v", name, secret, err)
		}
	}
}
