package attestation

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	ecosystemPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	streamPattern    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	outputPattern    = regexp.MustCompile(`^[0-9a-zA-Z_][0-9a-zA-Z+\-._?=]{0,63}$`)
	genericPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}/[^/]`)
)

// OutputKey returns the name of an output for comparison: "<build>^<output>" as
// Nix writes installables. Input-addressed store paths are their own key.
func OutputKey(build, output string) string { return build + "^" + output }

// ValidateEcosystem reports whether name is written as an ecosystem is.
func ValidateEcosystem(name string) error {
	if !ecosystemPattern.MatchString(name) {
		return fmt.Errorf("ecosystem %q is not 1 to 32 characters of a-z, 0-9 and -, beginning with a letter", clip(name))
	}
	return nil
}

// ValidateBuild reports whether name can be a build's name in the ecosystem.
func ValidateBuild(ecosystem, name string) error {
	if err := validateName(name); err != nil {
		return fmt.Errorf("build name %q: %w", clip(name), err)
	}
	var err error
	switch ecosystem {
	case "nix":
		if !isStorePath("/nix/store/", name) || !strings.HasSuffix(name, ".drv") {
			err = errors.New("a Nix build is named by its derivation's store path, /nix/store/<hash>-<name>.drv")
		}
	case "guix":
		if !isStorePath("/gnu/store/", name) || !strings.HasSuffix(name, ".drv") {
			err = errors.New("a Guix build is named by its derivation's store path, /gnu/store/<hash>-<name>.drv")
		}
	case "generic":
		if !genericPattern.MatchString(name) {
			err = errors.New("a generic build's name begins with the operator that defines it: <operator>/<name>")
		}
	}
	if err != nil {
		return fmt.Errorf("build name %q: %w", clip(name), err)
	}
	return nil
}

// ValidateOutput reports whether key can be an output's key in the ecosystem.
func ValidateOutput(ecosystem, key string) error {
	if len(key) > MaxNameLength {
		return fmt.Errorf("output key %q: longer than %d bytes", clip(key), MaxNameLength)
	}
	if build, output, found := strings.Cut(key, "^"); found {
		if !outputPattern.MatchString(output) {
			return fmt.Errorf("output key %q: %q is not an output's name", clip(key), clip(output))
		}
		return ValidateBuild(ecosystem, build)
	}
	switch ecosystem {
	case "nix":
		if !isStorePath("/nix/store/", key) {
			return fmt.Errorf("output key %q: a Nix output is named by its store path, or by <derivation>^<output>", clip(key))
		}
		return nil
	case "guix":
		if !isStorePath("/gnu/store/", key) {
			return fmt.Errorf("output key %q: a Guix output is named by its store path, or by <derivation>^<output>", clip(key))
		}
		return nil
	}
	if err := validateName(key); err != nil {
		return fmt.Errorf("output key %q: %w", clip(key), err)
	}
	if !strings.Contains(key, "/") {
		return fmt.Errorf("output key %q: written as <build>^<output>, or <project>/<file>", clip(key))
	}
	return nil
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

// validateName holds for names of every ecosystem: printable ASCII without the
// characters that mean something to shells, HTML or URLs' queries, and no way to
// leave a directory when somebody uses a name as a path.
func validateName(name string) error {
	if name == "" {
		return errors.New("empty")
	}
	if len(name) > MaxNameLength {
		return fmt.Errorf("longer than %d bytes", MaxNameLength)
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/.-_+~@:=,%()?", c) >= 0 {
			continue
		}
		return fmt.Errorf("contains %q; allowed are letters, digits and / . - _ + ~ @ : = , %% ( ) ?", rune(c))
	}
	segments := strings.Split(strings.TrimPrefix(name, "/"), "/")
	if slices.Contains(segments, "..") || slices.Contains(segments, ".") || slices.Contains(segments, "") {
		return errors.New("has an empty, \".\" or \"..\" path segment")
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
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\uFFFD' || r == '\u2028' || r == '\u2029' || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return fmt.Errorf("contains the control character %U", r)
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
