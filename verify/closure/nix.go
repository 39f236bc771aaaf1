package closure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet/attestation"
	"repronet/evidence/narinfo"
	"repronet/verify"
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

// pathInfo is what nix path-info says of a path. More is not looked at.
type pathInfo struct {
	Path    string `json:"path"`
	NarHash string `json:"narHash"`
	CA      string `json:"ca"`
	Valid   *bool  `json:"valid"`
}

// pathInfoArray reads what Nix wrote before 2.19.
func (b *builder) pathInfoArray(text []byte) error {
	var infos []pathInfo
	if err := json.Unmarshal(text, &infos); err != nil {
		return fmt.Errorf("as nix path-info writes it: %w", err)
	}
	for _, info := range infos {
		if err := b.pathInfo(info); err != nil {
			return err
		}
	}
	return nil
}

// object reads what begins as a JSON object: an SBOM, or what Nix writes from
// 2.19 on, an object by path.
func (b *builder) object(text []byte) error {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	if _, ok := members["bomFormat"]; ok {
		return b.sbom(text)
	}
	if version, ok := members["version"]; ok {
		return fmt.Errorf("version %.20s of the JSON of nix path-info is not known: ask it for --json-format 1", version)
	}
	var infos map[string]*pathInfo
	if err := json.Unmarshal(text, &infos); err != nil {
		return fmt.Errorf("neither a CycloneDX SBOM nor the JSON of nix path-info: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(infos)) {
		info := infos[path]
		if info == nil {
			return fmt.Errorf("%.200s is not in the store", path)
		}
		info.Path = path
		if err := b.pathInfo(*info); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) pathInfo(info pathInfo) error {
	output := verify.Output{Ecosystem: "nix", Key: info.Path}
	if info.Valid != nil && !*info.Valid {
		return fmt.Errorf("%.200s is not in the store", info.Path)
	}
	if info.CA != "" {
		if err := attestation.ValidateOutput(output.Ecosystem, output.Key); err != nil {
			return err
		}
		b.apart(output)
		return nil
	}
	digest, err := narinfo.ParseHash(info.NarHash)
	if err != nil {
		return fmt.Errorf("%.200s: narHash: %w", info.Path, err)
	}
	return b.add(output, &digest)
}

// parseDigest reads a digest in any spelling: that of Nix, or plain digits.
func parseDigest(s string) (attestation.Digest, error) {
	if strings.HasPrefix(s, "sha256") {
		return narinfo.ParseHash(s)
	}
	return attestation.ParseDigest(s)
}
