// Package closure checks many outputs at once: all that a system consists of.
//
// A [List] is what is there: from Nix itself ([Nix]), from a document ([Parse]): the
// JSON of nix path-info, the lines of nix-eval-jobs, a CycloneDX SBOM, or a plain list;
// or from a published package set ([OfSet]). [Check] judges each output by a policy,
// from the evidence in a mirror, which it collects with every ledger entry opened once.
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
	// Past tells that the list is of what was, such as an earlier revision: how long ago
	// its outputs were attested is not asked.
	Past bool
	// Apart are paths that are named by their own content.
	Apart []string
	// Sources are paths that an SBOM lists as sources: by what its generator says
	// of them, or where that says nothing, by their names.
	Sources []string
	// Unnamed is how many components of an SBOM have no output's name.
	Unnamed int
	// Taken counts what was read of the document, and Skipped what could not be;
	// Of is what is counted: "line", "path", "component" or "member".
	Of      string
	Taken   int
	Skipped pkgset.Skipped
	// Failed counts the attributes that nix-eval-jobs could not evaluate: their outputs
	// are not in the list.
	Failed int
}

// Usable reports why a list has no output to check, nil if it has one.
func (l *List) Usable() error {
	switch {
	case len(l.Items) > 0:
		return nil
	case l.Skipped.Count > 0 && l.Taken == 0:
		return fmt.Errorf("there is no output to check: %s", l.Skipped.Say(l.Of))
	case len(l.Apart)+len(l.Sources) > 0:
		return fmt.Errorf("there is no output to check: the list names %d paths that are sources or named by their own content, and nothing else", len(l.Apart)+len(l.Sources))
	case l.Unnamed > 0:
		return fmt.Errorf("there is no output to check: none of the SBOM's %d components names one; bom-ref or a property nix:output_path does", l.Unnamed)
	case l.Failed > 0:
		return fmt.Errorf("there is no output to check: none of the %d attributes could be evaluated", l.Failed)
	default:
		return errors.New("there is no output to check: the list is empty")
	}
}

// An Item is one output.
type Item struct {
	verify.Output
	// Digest is that of what is there; nil if the list does not say.
	Digest *attestation.Digest
	Place
}

// A Place is where a package set has an output. It is zero where a list does not say.
type Place struct {
	Attribute string // in the set
	System    string
	Name      string // of the output in its build: "out", "man"
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
	// Case is what the policy judged.
	Case policy.Case
}

// Check judges every output of a list.
func Check(ctx context.Context, m *verify.Mirror, pins *verify.Pins, p *policy.Policy, list *List, now time.Time, progress verify.Progress) (*Report, error) {
	reports, err := CheckAll(ctx, m, pins, p, []*List{list}, now, progress)
	if err != nil {
		return nil, err
	}
	return reports[0], nil
}

// CheckAll judges every output of several lists, from one state of the ledger of which
// every entry is opened once. An output may be in several of them.
func CheckAll(ctx context.Context, m *verify.Mirror, pins *verify.Pins, p *policy.Policy, lists []*List, now time.Time, progress verify.Progress) ([]*Report, error) {
	var outputs []verify.Output
	for _, list := range lists {
		if err := list.Usable(); err != nil {
			return nil, err
		}
		for i := range list.Items {
			outputs = append(outputs, list.Items[i].Output)
		}
	}
	sets, err := pins.Sets(ctx, m, p.Sets())
	if err != nil {
		return nil, err
	}
	evidence, err := m.EvidenceOn(ctx, pins, outputs, progress)
	if err != nil {
		return nil, err
	}
	reports := make([]*Report, len(lists))
	for i, list := range lists {
		reports[i] = judge(p, list, evidence[:len(list.Items)], sets, now)
		evidence = evidence[len(list.Items):]
	}
	return reports, lookBack(ctx, m, pins, p, reports, progress)
}

// lookBack judges those outputs again of which the policy asks what was in their place.
func lookBack(ctx context.Context, m *verify.Mirror, pins *verify.Pins, p *policy.Policy, reports []*Report, progress verify.Progress) error {
	var asked []*Result
	var outputs []verify.Output
	for _, report := range reports {
		for i := range report.Results {
			if r := &report.Results[i]; p.AsksBefore(&r.Decision) {
				asked, outputs = append(asked, r), append(outputs, r.Output)
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	before, err := m.EvidenceBefore(ctx, pins, outputs, progress)
	if err != nil {
		return err
	}
	for i, r := range asked {
		r.Case.Before = before[i]
		r.Decision = p.Judge(r.Case)
	}
	return nil
}

func judge(p *policy.Policy, list *List, evidence []*verify.Evidence, sets []*verify.Set, now time.Time) *Report {
	report := &Report{Size: evidence[0].Size, LatestEntry: evidence[0].LatestEntry}
	for i, item := range list.Items {
		e := evidence[i]
		c := policy.Case{Evidence: e, Sets: verify.Containing(sets, item.Output), Digest: item.Digest, Now: now, Past: list.Past}
		report.Results = append(report.Results, Result{
			Item: item, Verdict: e.Judgement.Verdict.String(), Operators: e.Judgement.Operators, Decision: p.Judge(c), Case: c,
		})
	}
	return report
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
