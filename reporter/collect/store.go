package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"repronet.dev/ecosystem"
)

// A nixStore is where a Nix store's files are on this machine.
type nixStore struct {
	real  string // the directory of what is logically ecosystem.NixStore
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
		s.real = filepath.Join("/", root, ecosystem.NixStore)
	}
	if s.state == "" {
		s.state = filepath.Join("/", root, "nix/var/nix")
	}
	return s, nil
}

// path returns where a store path's file is.
func (s *nixStore) path(storePath string) (string, error) {
	p, err := ecosystem.ParseStorePath(storePath)
	if err != nil {
		return "", err
	}
	return filepath.Join(s.real, p.Hash+"-"+p.Name), nil
}

// storeName returns what follows the hash of a store path, "" if it is none.
func storeName(path string) string {
	p, err := ecosystem.ParseStorePath(path)
	if err != nil {
		return ""
	}
	return p.Name
}

// maxIncludes bounds how deep configuration files include others.
const maxIncludes = 16

// Assigned returns the file that gives a setting of Nix a value, among a configuration file
// and those that it includes; "" if none does. A file that is not there assigns nothing; one that
// this user may not read, such as one of access tokens, may assign anything.
func Assigned(file, name, value string) (in string, err error) {
	return assigned(file, name, value, maxIncludes)
}

func assigned(file, name, value string, depth int) (in string, err error) {
	if depth == 0 {
		return "", fmt.Errorf("%s: files of Nix's configuration include each other, %d deep", file, maxIncludes)
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, fs.ErrPermission):
		return file, nil
	}
	if err != nil {
		return "", err
	}
	if v, ok := settings(string(text))[name]; ok && v == value {
		return file, nil
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) != 2 || words[0] != "include" && words[0] != "!include" {
			continue
		}
		included := words[1]
		if !filepath.IsAbs(included) {
			included = filepath.Join(filepath.Dir(file), included)
		}
		if in, err := assigned(included, name, value, depth-1); in != "" || err != nil {
			return in, err
		}
	}
	return "", nil
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
