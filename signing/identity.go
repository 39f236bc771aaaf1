package signing

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identity is what a Fulcio certificate names.
type Identity struct {
	// Issuer is the OpenID Connect issuer that vouched for the subject, as in
	// the certificate's extension 1.3.6.1.4.1.57264.1.8 (or .1).
	Issuer string
	// Subject is the certificate's subject alternative name: of a CI job the URI
	// of its workflow with the ref, of a person an e-mail address.
	Subject string
	// Repository is the extension SourceRepositoryURI (….1.12); empty where the
	// certificate has none, as those of people.
	Repository string
}

// String names the identity in messages.
func (i Identity) String() string { return fmt.Sprintf("%.300q of %.200q", i.Subject, i.Issuer) }

// An IdentityRule says which identities are one builder. Issuer and Repository
// are compared byte for byte; no Repository leaves it open. So is Subject, unless
// it begins with "^" and ends with "$": then it is a regular expression (RE2),
// and the whole subject has to match it. There is no way to write one that
// matches a part.
//
//	https://github.com/org/repo/.github/workflows/rebuild.yml@refs/heads/main
//	^https://github\.com/org/repo/\.github/workflows/[a-z]+\.yml@refs/tags/v[0-9.]+$
type IdentityRule struct {
	Issuer     string `json:"issuer"`
	Subject    string `json:"subject"`
	Repository string `json:"repository,omitempty"`
}

// MaxIdentity bounds each part of a rule, in bytes.
const MaxIdentity = 500

// Validate reports why a rule cannot be one.
func (r IdentityRule) Validate() error {
	_, err := r.Matcher()
	return err
}

// Matches reports whether the rule is about an identity. That of an invalid rule
// is never.
func (r IdentityRule) Matches(identity Identity) bool {
	matches, err := r.Matcher()
	return err == nil && matches(identity)
}

// Matcher returns [IdentityRule.Matches], made ready for many identities.
func (r IdentityRule) Matcher() (func(Identity) bool, error) {
	for _, part := range []struct{ name, value string }{{"issuer", r.Issuer}, {"subject", r.Subject}, {"repository", r.Repository}} {
		if part.value == "" && part.name != "repository" {
			return nil, fmt.Errorf("identity: no %s is given", part.name)
		}
		if len(part.value) > MaxIdentity || !utf8.ValidString(part.value) || strings.ContainsFunc(part.value, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return nil, fmt.Errorf("identity: %s is not at most %d bytes of printable text", part.name, MaxIdentity)
		}
	}
	if u, err := url.Parse(r.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("identity: issuer %.100q is not a URL such as https://token.actions.githubusercontent.com", r.Issuer)
	}
	subject, err := subjectMatcher(r.Subject)
	if err != nil {
		return nil, err
	}
	return func(i Identity) bool {
		return i.Issuer == r.Issuer && (r.Repository == "" || i.Repository == r.Repository) && subject(i.Subject)
	}, nil
}

func subjectMatcher(subject string) (func(string) bool, error) {
	pattern, begins := strings.CutPrefix(subject, "^")
	pattern, ends := strings.CutSuffix(pattern, "$")
	if begins != ends {
		return nil, errors.New(`identity: a subject that is a regular expression begins with "^" and ends with "$"`)
	}
	if !begins {
		return func(s string) bool { return s == subject }, nil
	}
	// By itself first: "a)|(?:b" is none, but would be one in parentheses.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("identity: subject: %w", err)
	}
	anchored, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("identity: subject: %w", err)
	}
	return anchored.MatchString, nil
}
