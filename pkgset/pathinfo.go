package pkgset

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
)

// A PathInfo is what nix path-info says of a store path that is there.
type PathInfo struct {
	Path    string
	NarHash attestation.Digest
	// Addressed tells that the path is named by its own content: Nix says so, or
	// the name follows from the NAR hash.
	Addressed bool
	// Line is where the document has it, from 1.
	Line int
}

// maxFormat is the newest format of nix path-info --json that is known.
const maxFormat = 3

// ParsePathInfo reads the JSON of nix path-info: the list that Nix wrote before
// 2.19; the object by path since (format 1); the object with "version", "storeDir"
// and "info" by base name (formats 2 and 3, Nix 2.32 and later). Paths that are
// not in the store, and what is written otherwise, are skipped.
// (https://nix.dev/manual/nix/latest/protocols/json/store-object-info)
func ParsePathInfo(text []byte) (infos []PathInfo, skipped Skipped, err error) {
	r := pathInfoReader{text: text, decoder: jsontext.NewDecoder(bytes.NewReader(text))}
	switch r.decoder.PeekKind() {
	case '[':
		err = r.members(false)
	case '{':
		err = r.object()
	default:
		err = errors.New("neither a list nor an object")
	}
	if err == nil {
		if rest := bytes.TrimSpace(text[r.decoder.InputOffset():]); len(rest) > 0 {
			err = fmt.Errorf("after the document follows %.20q", rest)
		}
	}
	if err != nil {
		return nil, Skipped{}, fmt.Errorf("as nix path-info writes it: %w", err)
	}
	return r.infos, r.skipped, nil
}

type pathInfoReader struct {
	text    []byte
	decoder *jsontext.Decoder
	infos   []PathInfo
	skipped Skipped

	counted int64 // bytes of the text whose lines are counted
	line    int   // line ends in them
}

// object reads an object of any format.
func (r *pathInfoReader) object() error {
	var envelope map[string]jsontext.Value
	if err := json.Unmarshal(r.text, &envelope); err != nil {
		return err
	}
	format, versioned := envelope["version"]
	if !versioned {
		return r.members(true)
	}
	var version int
	var storeDir string
	if err := json.Unmarshal(format, &version); err != nil || version < 1 || version > maxFormat {
		return fmt.Errorf("format %.20s is not known: ask for --json-format 1 to %d", format, maxFormat)
	}
	if dir, ok := envelope["storeDir"]; ok {
		if err := json.Unmarshal(dir, &storeDir); err != nil || strings.TrimSuffix(storeDir, "/")+"/" != ecosystem.NixStore {
			return fmt.Errorf("it is of the store %.80s, only %s is known", dir, ecosystem.NixStore)
		}
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	found := false
	for r.decoder.PeekKind() == '"' {
		name, err := r.decoder.ReadToken()
		if err != nil {
			return err
		}
		if name.String() != "info" {
			err = r.decoder.SkipValue()
		} else if found = true; r.decoder.PeekKind() != '{' {
			err = errors.New(`"info" is no object`)
		} else {
			err = r.members(true)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return errors.New(`it has no "info"`)
	}
	_, err := r.decoder.ReadToken()
	return err
}

// members reads what is in a list, or in an object by path.
func (r *pathInfoReader) members(named bool) error {
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	for r.decoder.PeekKind() != ']' && r.decoder.PeekKind() != '}' {
		path := ""
		if named {
			name, err := r.decoder.ReadToken()
			if err != nil {
				return err
			}
			path = name.String()
		}
		value, err := r.decoder.ReadValue()
		if err != nil {
			return err
		}
		line := r.lineAt(r.decoder.InputOffset() - int64(len(value)))
		info, err := parsePathInfo(path, value)
		if err != nil {
			r.skipped.Add(line, err)
			continue
		}
		info.Line = line
		r.infos = append(r.infos, *info)
	}
	_, err := r.decoder.ReadToken()
	return err
}

// lineAt returns the number of the line at an offset, which does not decrease.
func (r *pathInfoReader) lineAt(offset int64) int {
	r.line += bytes.Count(r.text[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.line + 1
}

func parsePathInfo(path string, value jsontext.Value) (*PathInfo, error) {
	var raw *struct {
		Path       string         `json:"path"`
		NarHash    jsontext.Value `json:"narHash"`
		References []string       `json:"references"`
		CA         jsontext.Value `json:"ca"` // a text in format 1, then an object
		Valid      *bool          `json:"valid"`
	}
	if err := json.Unmarshal(value, &raw); err != nil {
		return nil, err
	}
	if path == "" && raw != nil {
		path = raw.Path
	}
	p, err := ecosystem.ParseStoreName(path)
	if err != nil {
		return nil, err
	}
	if raw == nil || raw.Valid != nil && !*raw.Valid {
		return nil, fmt.Errorf("%s is not in the store", p)
	}
	info := &PathInfo{Path: p.String(), Addressed: len(raw.CA) > 0 && string(raw.CA) != "null" && string(raw.CA) != `""`}
	if info.NarHash, err = parseNarHash(raw.NarHash); err != nil && !info.Addressed {
		return nil, fmt.Errorf("%s: narHash: %w", p, err)
	}
	info.Addressed = info.Addressed || ecosystem.ProvenByName(info.Path, info.NarHash, raw.References)
	return info, nil
}

// parseNarHash reads a hash that is a text, or since 2.33 an object.
func parseNarHash(value jsontext.Value) (attestation.Digest, error) {
	if value.Kind() != '{' {
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return attestation.Digest{}, errors.New("it is missing")
		}
		return attestation.ParseAnyDigest(text)
	}
	var object struct {
		Algorithm string `json:"algorithm"`
		Hash      string `json:"hash"`
	}
	if err := json.Unmarshal(value, &object); err != nil {
		return attestation.Digest{}, err
	}
	if object.Algorithm != "sha256" {
		return attestation.Digest{}, fmt.Errorf("its algorithm is %.20q, not sha256", object.Algorithm)
	}
	return attestation.ParseAnyDigest(object.Hash)
}
