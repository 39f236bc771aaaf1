package aggregator

import (
	"bytes"
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
		"a subject of which a part fits": {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{half}}, "admit: identity"},
		"no issuer":                      {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{{Subject: "x"}}}, "no issuer"},
		"a root that is none":            {Admit{TrustedRoot: broken, Identities: []AdmitIdentity{who}}, "trusted_root.json"},
		"a root that is not there":       {Admit{TrustedRoot: broken + "x", Identities: []AdmitIdentity{who}}, "reading the trusted root"},
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

// The secret of the pseudonyms stays what it is, or the server does not start.
func TestPseudonymsSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pseudonyms.key")
	first, err := loadOrCreateSecret(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("%x, %v", first, err)
	}
	if again, err := loadOrCreateSecret(path); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the second time %x, want %x (%v)", again, first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadOrCreateSecret(path); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("a damaged one: %v", err)
	}
}
