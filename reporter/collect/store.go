package collect

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// storePrefix is where the paths of every Nix store are, as builds see them.
const storePrefix = "/nix/store/"

// A nixStore is where a Nix store's files are on this machine.
type nixStore struct {
	real  string // the directory of what is logically /nix/store
	state string // the directory with db/
}

// openStore reads a store's URI as Nix writes it in the setting "store". Only
// stores on this machine's disk can be read.
func openStore(uri string) (*nixStore, error) {
	scheme, rest, _ := strings.Cut(uri, "?")
	params, err := url.ParseQuery(rest)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", uri, err)
	}
	root := params.Get("root")
	switch {
	case scheme == "" || scheme == "auto" || scheme == "daemon" || scheme == "local" || strings.HasPrefix(scheme, "unix://"):
	case strings.HasPrefix(scheme, "local://"):
		if path := strings.TrimPrefix(scheme, "local://"); path != "" {
			root = path
		}
	case strings.HasPrefix(scheme, "/"):
		root = scheme
	default:
		return nil, fmt.Errorf("store %q is not on this machine", uri)
	}
	s := &nixStore{real: params.Get("real"), state: params.Get("state")}
	if s.real == "" {
		s.real = filepath.Join("/", root, "nix/store")
	}
	if s.state == "" {
		s.state = filepath.Join("/", root, "nix/var/nix")
	}
	return s, nil
}

// path returns where a store path's file is.
func (s *nixStore) path(storePath string) (string, error) {
	base, ok := strings.CutPrefix(storePath, storePrefix)
	if !ok || base == "" || strings.Contains(base, "/") || base == "." || base == ".." {
		return "", fmt.Errorf("%q is no path in %s", storePath, storePrefix)
	}
	return filepath.Join(s.real, base), nil
}

// settings reads the assignments of a Nix configuration text.
func settings(config string) map[string]string {
	values := make(map[string]string)
	for line := range strings.Lines(config) {
		line, _, _ = strings.Cut(line, "#")
		name, value, found := strings.Cut(line, "=")
		if found {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}
