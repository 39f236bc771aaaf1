package closure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/verify"
)

// Limits of a document.
const (
	maxSize  = 256 << 20 // bytes
	maxItems = 1 << 20
)

// errTooMany ends the reading of a list, which other errors do not.
var errTooMany = fmt.Errorf("more than %d outputs", maxItems)

// Parse reads a document: the JSON of nix path-info, the JSON lines of nix-eval-jobs, a
// CycloneDX SBOM (JSON), or lines of an output key and, if it is known, the digest of what is there, in any
// spelling. Empty lines and those that begin with # are passed over, as is a byte
// order mark. name is the ecosystem of the keys in lines; if it is "", they tell it
// themselves ([ecosystem.OfKey]). What cannot be read of a document is skipped and
// counted, and takes nothing of the rest away.
func Parse(r io.Reader, name string) (*List, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading list: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("reading list: larger than %d bytes", maxSize)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	b := newBuilder()
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case bytes.HasPrefix(start, []byte("[")):
		err = b.pathInfo(text)
	case isJobs(start):
		err = b.jobs(text)
	case bytes.HasPrefix(start, []byte("{")):
		err = b.object(text)
	default:
		err = b.lines(text, name)
	}
	if err == nil && b.list.Taken == 0 && b.list.Skipped.Count > 0 {
		err = b.list.Usable()
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

func newBuilder() *builder {
	return &builder{list: &List{Of: "line"}, seen: map[verify.Output]int{}}
}

// take adds an output that a line of the document names, or counts the line as one
// that could not be read.
func (b *builder) take(line int, output verify.Output, digest *attestation.Digest) error {
	err := b.add(Item{Output: output, Digest: digest})
	if errors.Is(err, errTooMany) {
		return err
	}
	if err != nil {
		b.list.Skipped.Add(line, err)
		return nil
	}
	b.list.Taken++
	return nil
}

func (b *builder) add(item Item) error {
	output, digest := item.Output, item.Digest
	if err := attestation.ValidateOutput(output.Ecosystem, output.Key); err != nil {
		return err
	}
	if ecosystem.Of(output.Ecosystem).IsRecipe(output.Key) {
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
		return errTooMany
	}
	b.seen[output] = len(b.list.Items)
	b.list.Items = append(b.list.Items, item)
	return nil
}

func (b *builder) apart(output verify.Output) {
	if _, ok := b.seen[output]; !ok {
		b.seen[output] = -1
		b.list.Apart = append(b.list.Apart, output.Key)
	}
}

func (b *builder) lines(text []byte, name string) error {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		output, digest, err := parseLine(fields, name)
		if err != nil {
			b.list.Skipped.Add(number, err)
			continue
		}
		if err := b.take(number, output, digest); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

func parseLine(fields []string, name string) (output verify.Output, digest *attestation.Digest, err error) {
	if len(fields) > 2 {
		return output, nil, errors.New("want an output key and at most a digest")
	}
	output = verify.Output{Ecosystem: name, Key: fields[0]}
	if name == "" {
		output.Ecosystem = ecosystem.OfKey(output.Key)
	}
	if len(fields) == 2 {
		d, err := attestation.ParseAnyDigest(fields[1])
		if err != nil {
			return output, nil, err
		}
		digest = &d
	}
	return output, digest, nil
}
