package closure

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"repronet.dev/ecosystem"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
)

// OfSet makes a list of what a package set consists of at a revision. Outputs whose
// recipes fix their hash are set apart.
func OfSet(set *verify.SetRevision) (*List, error) {
	b := newBuilder()
	b.list.Of, b.list.Taken = "member", len(set.Counted)+len(set.Fixed)
	for _, members := range [][]pkgset.Member{set.Counted, set.Fixed} {
		if err := b.members(set.Ecosystem, members); err != nil {
			return nil, fmt.Errorf("reading package set %s at %s: %w", set.Name, set.Revision, err)
		}
	}
	return b.list, nil
}

// isJobs tells the JSON lines of nix-eval-jobs, which name an attribute whether or not
// it could be evaluated, from other documents that begin with an object.
func isJobs(text []byte) bool {
	first, err := jsontext.NewDecoder(bytes.NewReader(text)).ReadValue()
	if err != nil || first.Kind() != '{' {
		return false
	}
	var job struct {
		Attribute *string `json:"attr"`
	}
	return json.Unmarshal(first, &job) == nil && job.Attribute != nil
}

// jobs reads the JSON lines of nix-eval-jobs.
func (b *builder) jobs(text []byte) error {
	list, err := pkgset.Parse(ecosystem.Nix, bytes.NewReader(text))
	if err != nil {
		return err
	}
	b.list.Taken, b.list.Skipped, b.list.Failed = list.Lines, list.Skipped, list.Failed
	return b.members(ecosystem.Nix, list.Members)
}

func (b *builder) members(ecosystemName string, members []pkgset.Member) error {
	for i := range members {
		m := &members[i]
		output := verify.Output{Ecosystem: ecosystemName, Key: m.Key}
		if m.Fixed {
			b.apart(output)
			continue
		}
		if err := b.add(Item{Output: output, Place: Place{Attribute: m.Attribute, System: m.System, Name: m.Output}}); err != nil {
			return err
		}
	}
	return nil
}
