package closure

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"repronet/attestation"
	"repronet/verify"
)

// Limits of a document.
const (
	maxSize  = 256 << 20 // bytes
	maxItems = 1 << 20
)

// Parse reads a document: the JSON of nix path-info, a CycloneDX SBOM (JSON), or
// lines of an output key and, if it is known, the digest of what is there. Empty
// lines and those that begin with # are skipped. ecosystem is that of the keys in
// lines; if it is "", they tell it themselves ([verify.EcosystemOf]).
func Parse(r io.Reader, ecosystem string) (*List, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading list: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("reading list: larger than %d bytes", maxSize)
	}
	b := builder{list: &List{}, seen: map[verify.Output]int{}}
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(start, []byte("[")):
		err = b.pathInfoArray(text)
	case bytes.HasPrefix(start, []byte("{")):
		err = b.object(text)
	default:
		err = b.lines(text, ecosystem)
	}
	if err != nil {
		return nil, fmt.Errorf("reading list: %w", err)
	}
	return b.list, nil
}

// builder adds to a list what it has not yet.
type builder struct {
	list *List
	seen map[verify.Output]int // place in the list; -1: apart
}

func (b *builder) add(output verify.Output, digest *attestation.Digest) error {
	if err := attestation.ValidateOutput(output.Ecosystem, output.Key); err != nil {
		return err
	}
	if strings.HasSuffix(output.Key, ".drv") && output.Ecosystem == verify.EcosystemOf(output.Key) {
		b.apart(output)
		return nil
	}
	if i, ok := b.seen[output]; ok {
		if i >= 0 && digest != nil {
			if old := b.list.Items[i].Digest; old != nil && *old != *digest {
				return fmt.Errorf("%s is listed with two digests", output.Key)
			}
			b.list.Items[i].Digest = digest
		}
		return nil
	}
	if len(b.list.Items) == maxItems {
		return fmt.Errorf("more than %d outputs", maxItems)
	}
	b.seen[output] = len(b.list.Items)
	b.list.Items = append(b.list.Items, Item{output, digest})
	return nil
}

func (b *builder) apart(output verify.Output) {
	if _, ok := b.seen[output]; !ok {
		b.seen[output] = -1
		b.list.Apart = append(b.list.Apart, output.Key)
	}
}

func (b *builder) lines(text []byte, ecosystem string) error {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) > 2 {
			return fmt.Errorf("line %d: want an output key and at most a digest", number)
		}
		output := verify.Output{Ecosystem: ecosystem, Key: fields[0]}
		if ecosystem == "" {
			output.Ecosystem = verify.EcosystemOf(output.Key)
		}
		var digest *attestation.Digest
		if len(fields) == 2 {
			d, err := parseDigest(fields[1])
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			digest = &d
		}
		if err := b.add(output, digest); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}
