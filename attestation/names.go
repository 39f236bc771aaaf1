package attestation

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"repronet.dev/ecosystem"
)

var (
	ecosystemPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	streamPattern    = regexp.MustCompile(`^[0-9a-f]+$`)
)

// ValidateEcosystem reports whether name is written as an ecosystem is.
func ValidateEcosystem(name string) error {
	if len(name) > 32 || !ecosystemPattern.MatchString(name) {
		return fmt.Errorf("ecosystem %q is not 1 to 32 characters of a-z, 0-9 and -, beginning with a letter", clip(name))
	}
	return nil
}

// ValidateBuild reports whether name can be a build's name in the ecosystem. What
// it may look like is package ecosystem's subject; how long it may be is decided
// here, because it holds for every statement.
func ValidateBuild(in, name string) error {
	err := validateLength(name, MaxNameLength)
	if err == nil {
		err = ecosystem.Of(in).CheckBuild(name)
	}
	if err != nil {
		return fmt.Errorf("build name %q: %w", clip(name), err)
	}
	return nil
}

// ValidateOutput reports whether key can be an output's key in the ecosystem.
func ValidateOutput(in, key string) error {
	e := ecosystem.Of(in)
	named, _, _ := e.Split(key) // the name of the output is bounded by its grammar
	err := validateLength(named, MaxNameLength)
	if err == nil {
		err = e.CheckOutput(key)
	}
	if err != nil {
		return fmt.Errorf("output key %q: %w", clip(key), err)
	}
	return nil
}

func validateLength(name string, limit int) error {
	if len(name) > limit {
		return fmt.Errorf("it is longer than %d bytes", limit)
	}
	return nil
}

// validateText holds for what is read by people only: one line of printable
// Unicode.
func validateText(text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("longer than %d bytes", limit)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Errorf("contains %U, which is not printable", r)
		}
	}
	return nil
}

// clip bounds what an error repeats of hostile input.
func clip(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
