// Package closure checks many outputs at once: all that a system consists of.
//
// A [List] is what is there: from Nix itself ([Nix]), or from a document
// ([Parse]): the JSON of nix path-info, a CycloneDX SBOM, or a plain list.
// [Check] judges each output by a policy, from the evidence in a mirror, which it
// collects with every ledger entry opened once.
//
// Where a list says which digest is installed, that has to be the one that was
// reproduced. Paths that are named by their own content (fixed outputs, sources,
// derivations) agree trivially: they are set apart, neither accepted nor refused.
//
// A list is believed in what it lists. It is the user's own system that says
// what is installed; an SBOM is as good as who wrote it.
package closure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/policy"
)

// A List is what a system consists of, in the order of the source.
type List struct {
	Items []Item
	// Apart are paths that are named by their own content.
	Apart []string
	// Sources are paths that an SBOM lists as sources: by what its generator says
	// of them, or where that says nothing, by their names.
	Sources []string
	// Unnamed is how many components of an SBOM have no output's name.
	Unnamed int
	// Taken counts what was read of the document, and Skipped what could not be;
	// Of is what is counted: "line", "path" or "component".
	Of      string
	Taken   int
	Skipped pkgset.Skipped
}

// nothing says why a list has no output to check.
func (l *List) nothing() error {
	switch {
	case l.Skipped.Count > 0 && l.Taken == 0:
		return fmt.Errorf("there is no output to check: %s", l.Skipped.Say(l.Of))
	case len(l.Apart)+len(l.Sources) > 0:
		return fmt.Errorf("there is no output to check: the list names %d paths that are sources or named by their own content, and nothing else", len(l.Apart)+len(l.Sources))
	case l.Unnamed > 0:
		return fmt.Errorf("there is no output to check: none of the SBOM's %d components names one; bom-ref or a property nix:output_path does", l.Unnamed)
	default:
		return errors.New("there is no output to check: the list is empty")
	}
}

// An Item is one output.
type Item struct {
	verify.Output
	// Digest is that of what is there; nil if the list does not say.
	Digest *attestation.Digest
}

// A Report is what a policy makes of a list.
type Report struct {
	Results []Result
	// Size is the number of the ledger's entries that were searched, and
	// LatestEntry when the last of them was received.
	Size        uint64
	LatestEntry time.Time
}

// A Result is the decision on one output.
type Result struct {
	Item
	Verdict   string // of all pinned operators
	Operators int    // with a position
	Decision  policy.Decision
}

// Check judges every output of a list.
func Check(ctx context.Context, m *verify.Mirror, pins *verify.Pins, p *policy.Policy, list *List, now time.Time, progress verify.Progress) (*Report, error) {
	if len(list.Items) == 0 {
		return nil, list.nothing()
	}
	sets, err := pins.Sets(ctx, m, p.Sets())
	if err != nil {
		return nil, err
	}
	outputs := make([]verify.Output, len(list.Items))
	for i, item := range list.Items {
		outputs[i] = item.Output
	}
	evidence, err := m.EvidenceOn(ctx, pins, outputs, progress)
	if err != nil {
		return nil, err
	}
	report := &Report{Size: evidence[0].Size, LatestEntry: evidence[0].LatestEntry}
	for i, item := range list.Items {
		e := evidence[i]
		report.Results = append(report.Results, Result{
			Item: item, Verdict: e.Judgement.Verdict.String(), Operators: e.Judgement.Operators,
			Decision: p.Judge(policy.Case{Evidence: e, Sets: verify.Containing(sets, item.Output), Digest: item.Digest, Now: now}),
		})
	}
	return report, nil
}

// Refused returns whether outputs are refused because digests contradict each
// other, and how many are refused in all.
func (r *Report) Refused() (contradicted bool, n int) {
	for _, result := range r.Results {
		if d := result.Decision; d.Action == policy.Refuse {
			n++
			contradicted = contradicted || d.Finding == verify.Diverged || d.Finding == verify.Mismatch
		}
	}
	return contradicted, n
}
