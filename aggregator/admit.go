package aggregator

import (
	"os"

	"repronet.dev/aggregator/joining"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// Admit is whose Sigstore identities may enrol keys into tier open; the zero
// value is nobody's.
type Admit struct {
	// TrustedRoot is the path of a Sigstore trusted_root.json: which
	// authorities' certificates are believed.
	TrustedRoot string `yaml:"trusted_root"`
	// Identities are the rules, of which one has to fit.
	Identities []AdmitIdentity `yaml:"identities"`
}

// AdmitIdentity is a [signing.IdentityRule].
type AdmitIdentity struct {
	Issuer     string `yaml:"issuer"`
	Subject    string `yaml:"subject"`    // exact, or a regular expression ^…$
	Repository string `yaml:"repository"` // exact; empty: any
}

func (a *Admit) validate() error {
	if (a.TrustedRoot == "") != (len(a.Identities) == 0) {
		return wrong("admit", "want trusted_root and identities, or neither")
	}
	for _, identity := range a.Identities {
		if err := signing.IdentityRule(identity).Validate(); err != nil {
			return wrong("admit.identities", "%v", err)
		}
	}
	return nil
}

func (a *Admit) policy() (joining.Policy, error) {
	if a.TrustedRoot == "" {
		return joining.Policy{}, nil
	}
	text, err := os.ReadFile(a.TrustedRoot)
	if err != nil {
		return joining.Policy{}, wrong("admit.trusted_root", "reading it: %v", err)
	}
	root, err := sigstore.ParseTrustedRoot(text)
	if err != nil {
		return joining.Policy{}, wrong("admit.trusted_root", "%s: %v", a.TrustedRoot, err)
	}
	policy := joining.Policy{Root: root}
	for _, identity := range a.Identities {
		policy.Rules = append(policy.Rules, signing.IdentityRule(identity))
	}
	return policy, nil
}
