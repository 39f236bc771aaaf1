package command

import (
	"flag"
	"fmt"
	"os"

	"repronet.dev/enrolment"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore"
)

// keyless is what enrols an identity.
type keyless struct {
	rule        signing.IdentityRule
	trustedRoot string
}

func (k *keyless) declare(flags *flag.FlagSet) {
	flags.StringVar(&k.rule.Issuer, "sigstore-issuer", "", "`URL` of the issuer of a keyless builder's identity tokens")
	flags.StringVar(&k.rule.Subject, "sigstore-subject", "", "`subject` of its certificates, or ^pattern$")
	flags.StringVar(&k.rule.Repository, "sigstore-repository", "", "`URI` of the source repository in its certificates; empty for any")
	flags.StringVar(&k.trustedRoot, "trusted-root", "", "`file` trusted_root.json of the Sigstore deployment")
}

func (k *keyless) given() bool { return *k != keyless{} }

// read fills in who is enrolled, and returns the trusted root.
func (k *keyless) read(e *enrolment.Enrolment) ([]byte, error) {
	if k.rule.Issuer == "" || k.rule.Subject == "" || k.trustedRoot == "" {
		return nil, cli.Usagef("a keyless builder needs --sigstore-issuer URL, --sigstore-subject SUBJECT and --trusted-root FILE")
	}
	if err := k.rule.Validate(); err != nil {
		return nil, cli.Usagef("%v", err)
	}
	text, err := os.ReadFile(k.trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	if _, err := sigstore.ParseTrustedRoot(text); err != nil {
		return nil, fmt.Errorf("reading the trusted root: %s: %w", k.trustedRoot, err)
	}
	e.Builder, e.Keyless = enrolment.KeylessBuilder(k.rule), &enrolment.Keyless{Rule: k.rule}
	return text, nil
}
