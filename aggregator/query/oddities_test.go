package query_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"repronet.dev/aggregator/query"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
)

// A script writes a ledger step by step.
type script struct {
	t   *testing.T
	log *memory
	now time.Time
}

func newScript(t *testing.T) *script {
	return &script{t: t, log: &memory{attachments: map[attestation.Digest][]byte{}}, now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
}

func (s *script) add(kind ledger.Kind, body []byte) uint64 {
	s.now = s.now.Add(time.Hour)
	s.log.entries = append(s.log.entries, &ledger.Entry{Kind: kind, ReceivedAt: s.now, Body: body})
	return s.log.Size() - 1
}

func (s *script) enrol(label string, tier enrolment.Tier) uint64 {
	key := signingtest.Named(label).Public()
	e := enrolment.Enrolment{Builder: key.Builder(), PublicKey: key.DER(), Operator: label, Tier: tier}
	return s.add(ledger.Enrolment, must(e.Encode()))
}

func (s *script) say(label string, statement *attestation.Statement) (index uint64, payload attestation.Digest) {
	for i := range statement.Builds {
		statement.Builds[i].Finished = s.now
	}
	signer := signingtest.Named(label)
	bundle := must(signer.Sign(s.t.Context(), statement))
	_, payload, err := signing.Peek(bundle)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.add(ledger.Attestation, bundle), payload
}

func (s *script) claim(label, name, digest string) uint64 {
	index, _ := s.say(label, dashboardtest.Rebuild(nil, dashboardtest.DRV(name), "", dashboardtest.Out(name, ""), digest))
	return index
}

func (s *script) open() *query.Query {
	q, _ := open(s.t, s.log)
	return q
}

// statusOf lists the claims of an output by builder, digest and status.
func statusOf(t *testing.T, q *query.Query, name string) []string {
	t.Helper()
	o, err := q.Output(t.Context(), dashboardtest.Out(name, ""))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range o.Claims {
		status := string(c.Status)
		if c.Counts {
			status = "counts"
		}
		list = append(list, c.Operator+" "+status)
	}
	return append(list, string(o.Verdict))
}

func TestStatusOfClaims(t *testing.T) {
	s := newScript(t)
	for _, label := range []string{"ada", "bob", "cyd", "dan"} {
		s.enrol(label, enrolment.Counted)
	}
	s.enrol("eve", enrolment.Open)
	s.claim("ada", "hello", "1")
	s.claim("bob", "hello", "2")
	s.say("bob", dashboardtest.Withdraw(dashboardtest.Out("hello", ""), "2", "a mistake"))
	s.claim("cyd", "hello", "3")
	s.claim("eve", "hello", "4")
	s.claim("bob", "hello", "1")
	r := enrolment.Revocation{Builder: dashboardtest.ID("cyd"), From: 0}
	s.add(ledger.Revocation, must(r.Encode()))
	kept := s.claim("dan", "hello", "1")
	r = enrolment.Revocation{Builder: dashboardtest.ID("dan"), From: kept + 1}
	s.add(ledger.Revocation, must(r.Encode()))
	s.claim("dan", "hello", "5") // refused by the index too

	want := []string{"ada counts", "bob withdrawn", "cyd revoked", "eve open", "bob counts", "dan counts", "reproduced"}
	q := s.open()
	if diff := gocmp.Diff(want, statusOf(t, q, "hello")); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	o, err := q.Output(t.Context(), dashboardtest.Out("hello", ""))
	if err != nil {
		t.Fatal(err)
	}
	var history []string
	for _, c := range o.History {
		history = append(history, string(c.From+" → "+c.To))
	}
	wantHistory := []string{
		"unbuilt → single", "single → diverged", "diverged → single", "single → diverged", "diverged → reproduced",
	}
	// cyd's claim diverges until cyd is revoked; bob joins meanwhile.
	if diff := gocmp.Diff(wantHistory, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestStreams(t *testing.T) {
	s := newScript(t)
	s.enrol("ada", enrolment.Counted)
	s.enrol("bob", enrolment.Counted)
	chain := func(label, stream string, sequence uint64, previous attestation.Digest, skipped ...attestation.Digest) attestation.Digest {
		statement := dashboardtest.Rebuild(nil, dashboardtest.DRV("x"), "", dashboardtest.Out("x", ""), stream)
		statement.Chain = attestation.Chain{Stream: stream, Sequence: sequence, Previous: previous, Skipped: skipped}
		_, payload := s.say(label, statement)
		return payload
	}
	const first, second, third = "00000000000000000000000000000001", "00000000000000000000000000000002", "00000000000000000000000000000003"
	// ada: 0, 1, a refused 2 that 3 bridges.
	p := chain("ada", first, 0, attestation.Digest{})
	p = chain("ada", first, 1, p)
	chain("ada", first, 3, p, dashboardtest.Digest("refused"))
	// bob: a gap in one stream, a fork in another.
	p = chain("bob", second, 0, attestation.Digest{})
	chain("bob", second, 5, p)
	p = chain("bob", third, 0, attestation.Digest{})
	chain("bob", third, 1, p)
	chain("bob", third, 1, dashboardtest.Digest("another history"))

	q := s.open()
	got := map[string][]dashboard.Stream{}
	flags := map[string][]api.Flag{}
	builders, err := q.Builders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builders {
		d, err := q.Builder(t.Context(), signing.BuilderID(b.ID))
		if err != nil {
			t.Fatal(err)
		}
		got[b.Operator], flags[b.Operator] = d.Streams, b.Flags
	}
	want := map[string][]dashboard.Stream{
		"ada": {{ID: first, Statements: 3, Last: 3, Missing: 0, Forks: nil}},
		"bob": {{ID: second, Statements: 2, Last: 5, Missing: 4}, {ID: third, Statements: 3, Last: 1, Forks: []uint64{1}}},
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(map[string][]api.Flag{"ada": {}, "bob": {api.FlagFork, api.FlagGap}}, flags); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

// TestSetRevisions publishes a set twice: what left it is no longer counted,
// what nobody built is found by its key.
func TestSetRevisions(t *testing.T) {
	s := newScript(t)
	s.enrol("ada", enrolment.Counted)
	s.enrol("bob", enrolment.Counted)
	publish := func(revision string, names ...string) uint64 {
		var members []pkgset.Member
		for _, name := range names {
			members = append(members, pkgset.Member{
				Key: dashboardtest.Out(name, ""), Build: dashboardtest.DRV(name), Output: "out", Version: revision, Fixed: name == "source",
			})
		}
		attachment := must(pkgset.Encode("nix", members))
		e := pkgset.Entry{Name: "base", Revision: revision, Ecosystem: "nix", Members: pkgset.Count(members), SHA256: s.log.attach(attachment)}
		return s.add(ledger.PackageSet, must(e.Encode()))
	}
	s.claim("ada", "hello", "1")
	publish("1", "hello", "bash", "source")
	s.claim("bob", "hello", "1")
	s.claim("ada", "bash", "1")
	last := publish("2", "bash", "zsh", "source")
	s.claim("bob", "bash", "2")
	s.claim("bob", "hello", "2") // no member any more

	q := s.open()
	got, err := q.Summary(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	want := &dashboard.Summary{
		Set: "base", Revision: "2", Outputs: 2, Compared: 1, Diverged: 1, Unbuilt: 1,
		Builders: 2, Operators: 2, Attestations: 2, Observations: 2, LedgerSize: 9, Indexed: 9,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	sets, err := q.Sets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(sets) != 1 || sets[0].Index != last || sets[0].Members != 2 {
		t.Errorf("sets = %+v", sets)
	}
	zsh, err := q.Build(t.Context(), dashboardtest.DRV("zsh"))
	if err != nil {
		t.Fatal(err)
	}
	if o := zsh.Outputs[0]; o.Verdict != "unbuilt" || o.Output != "out" || len(o.Member) != 1 || o.Member[0].Version != "2" {
		t.Errorf("an unbuilt member is %+v", o)
	}
	if _, err := q.Output(t.Context(), dashboardtest.Out("source", "")); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("the fixed output: error %v, want %v", err, dashboard.ErrNotFound)
	}
	page, err := q.Divergences(t.Context(), dashboard.DivergenceQuery{Set: "base", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if page.Total != 1 || len(page.Divergences) != 1 || page.Divergences[0].Key != dashboardtest.Out("bash", "") || page.Next != "" {
		t.Errorf("divergences of the set = %+v", page)
	}
	first, err := q.Divergences(t.Context(), dashboard.DivergenceQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := q.Divergences(t.Context(), dashboard.DivergenceQuery{Limit: 1, Cursor: first.Next})
	if err != nil {
		t.Fatal(err)
	}
	if first.Total != 2 || second.Total != 2 || first.Divergences[0].Index <= second.Divergences[0].Index || second.Next != "" {
		t.Errorf("two pages of one: %+v, %+v", first, second)
	}
}

// TestSearchLimit: of more names than are asked for, those come that were named
// last; an output that a package set and then a statement named comes once.
func TestSearchLimit(t *testing.T) {
	s := newScript(t)
	s.enrol("ada", enrolment.Counted)
	attachment := must(pkgset.Encode("nix", []pkgset.Member{{Key: dashboardtest.Out("tool-0", "")}, {Key: dashboardtest.Out("tool-1", "")}}))
	e := pkgset.Entry{Name: "base", Revision: "1", Ecosystem: "nix", Members: 2, SHA256: s.log.attach(attachment)}
	s.add(ledger.PackageSet, must(e.Encode()))
	for _, name := range []string{"tool-2", "tool-1", "tool-0", "other"} {
		s.claim("ada", name, "1")
	}
	q := s.open()
	for limit, want := range map[int][]string{1: {"tool-2"}, 2: {"tool-1", "tool-2"}, 3: {"tool-0", "tool-1", "tool-2"}, 9: {"tool-0", "tool-1", "tool-2"}} {
		page, err := q.Search(t.Context(), dashboard.SearchQuery{Text: "TOOL", Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, row := range page.Outputs {
			got = append(got, row.Key[len("/nix/store/")+33:])
		}
		slices.Sort(got)
		if limit == 2 { // which of the set's is numbered last, its encoding decides
			got = got[len(got)-1:]
			want = want[1:]
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}
