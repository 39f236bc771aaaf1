package closure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/ecosystem"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
)

// Nix asks Nix what a store path consists of, and which digests it has here.
// store is the store to ask, "" for the default one.
func Nix(ctx context.Context, path, store string) (*List, error) {
	args := []string{"--extra-experimental-features", "nix-command", "path-info", "--json", "--recursive"}
	if store != "" {
		args = append(args, "--store", store)
	}
	command := exec.CommandContext(ctx, "nix", append(args, "--", path)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	text, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("asking Nix what %s consists of: %w: give a list in a file instead", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("asking Nix what %s consists of: %w: %s", path, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return Parse(bytes.NewReader(text), "")
}

// object reads what begins as a JSON object: an SBOM, or what Nix writes from
// 2.19 on.
func (b *builder) object(text []byte) error {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	if _, ok := members["bomFormat"]; ok {
		return b.sbom(text)
	}
	for name := range members {
		if name == "version" || strings.HasPrefix(name, "/") {
			return b.pathInfo(text)
		}
	}
	if len(members) == 0 { // of no path
		return nil
	}
	return errors.New("the object is neither a CycloneDX SBOM nor the JSON of nix path-info")
}

// pathInfo reads the JSON of nix path-info, of any format.
func (b *builder) pathInfo(text []byte) error {
	infos, skipped, err := pkgset.ParsePathInfo(text)
	if err != nil {
		return err
	}
	b.list.Of, b.list.Skipped = "path", skipped
	for _, info := range infos {
		output := verify.Output{Ecosystem: ecosystem.Nix, Key: info.Path}
		if info.Addressed {
			b.apart(output)
			b.list.Taken++
			continue
		}
		if err := b.take(info.Line, output, &info.NarHash); err != nil {
			return err
		}
	}
	return nil
}
