package attestation

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	ecosystemPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	streamPattern    = regexp.MustCompile(`^[0-9a-f]+$`)
	outputPattern    = regexp.MustCompile(`^[0-9a-zA-Z_][0-9a-zA-Z+\-._~]*$`)
	operatorPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

// OutputKey returns the name of an output for comparison: "<build>^<output>" as
// Nix writes installables. Input-addressed store paths are their own key.
func OutputKey(build, output string) string { return build + "^" + output }

// ValidateEcosystem reports whether name is written as an ecosystem is.
func ValidateEcosystem(name string) error {
	if len(name) > 32 || !ecosystemPattern.MatchString(name) {
		return fmt.Errorf("ecosystem %q is not 1 to 32 characters of a-z, 0-9 and -, beginning with a letter", clip(name))
	}
	return nil
}

// ValidateBuild reports whether name can be a build's name in the ecosystem.
func ValidateBuild(ecosystem, name string) error {
	var err error
	switch store := storeOf(ecosystem); {
	case store != "":
		if !isStorePath(store, name) || !strings.HasSuffix(name, ".drv") {
			err = fmt.Errorf("a build of %s is named by its derivation's store path, %s<hash>-<name>.drv", ecosystem, store)
		}
	default:
		err = validateName(ecosystem, name)
	}
	if err != nil {
		return fmt.Errorf("build name %q: %w", clip(name), err)
	}
	return nil
}

// ValidateOutput reports whether key can be an output's key in the ecosystem.
func ValidateOutput(ecosystem, key string) error {
	if build, output, found := strings.Cut(key, "^"); found {
		if len(output) > 255 || !outputPattern.MatchString(output) {
			return fmt.Errorf("output key %q: %q is not an output's name", clip(key), clip(output))
		}
		return ValidateBuild(ecosystem, build)
	}
	var err error
	switch store := storeOf(ecosystem); {
	case store != "":
		if !isStorePath(store, key) {
			err = fmt.Errorf("an output of %s is named by its store path, %s<hash>-<name>, or by <derivation>^<output>", ecosystem, store)
		}
	case !strings.Contains(key, "/"):
		err = errors.New("an output is named as <build>^<output>, or as <project>/<file>")
	default:
		err = validateName(ecosystem, key)
	}
	if err != nil {
		return fmt.Errorf("output key %q: %w", clip(key), err)
	}
	return nil
}

// storeOf returns the store's directory of the ecosystems that have one.
func storeOf(ecosystem string) string {
	switch ecosystem {
	case "nix":
		return "/nix/store/"
	case "guix":
		return "/gnu/store/"
	default:
		return ""
	}
}

// isStorePath reports whether path is <store><hash>-<name> as Nix's checkName
// and Guix accept it: 32 characters of their base 32, then up to 211 of a name
// that does not begin with a dot.
func isStorePath(store, path string) bool {
	base, ok := strings.CutPrefix(path, store)
	if !ok || len(base) < 34 || len(base) > 33+211 || base[32] != '-' || base[33] == '.' {
		return false
	}
	for i := range len(base) {
		c := base[i]
		switch {
		case c >= 'a' && c <= 'z':
			if i < 32 && (c == 'e' || c == 'o' || c == 't' || c == 'u') {
				return false
			}
		case c >= '0' && c <= '9':
		case i < 32:
			return false
		case c >= 'A' && c <= 'Z', strings.IndexByte("+-._?=", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// validateName holds for names of the ecosystems without a store: ASCII without
// spaces, quotes and what HTML or a URL's query gives a meaning to, relative, and
// with no way to leave a directory when somebody uses a name as a path.
func validateName(ecosystem, name string) error {
	if name == "" {
		return errors.New("it is empty")
	}
	if len(name) > MaxNameLength {
		return fmt.Errorf("it is longer than %d bytes", MaxNameLength)
	}
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/.-_+~@:=,", r) {
			continue
		}
		return fmt.Errorf("it contains %q; allowed are letters, digits and / . - _ + ~ @ : = ,", r)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errors.New(`it has an empty, "." or ".." path segment`)
		}
	}
	if operator, _, found := strings.Cut(name, "/"); ecosystem == "generic" && (!found || len(operator) > 40 || !operatorPattern.MatchString(operator)) {
		return errors.New("a generic name begins with the operator that defines it: <operator>/<name>")
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
