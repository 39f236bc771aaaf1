package query_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"repronet.dev/aggregator/index"
	"repronet.dev/aggregator/query"
	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/dashboard/dashboardtest"
	"repronet.dev/enrolment"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/signing/signingtest"
)

// memory is a ledger in memory.
type memory struct {
	entries     []*ledger.Entry
	attachments map[attestation.Digest][]byte
}

func (l *memory) Size() uint64 { return uint64(len(l.entries)) }

func (l *memory) Entry(_ context.Context, i uint64) (*ledger.Entry, error) { return l.entries[i], nil }

func (l *memory) Entries(_ context.Context, from, to uint64) iter.Seq2[*ledger.Entry, error] {
	return func(yield func(*ledger.Entry, error) bool) {
		for _, e := range l.entries[from:to] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (*memory) Erasures(context.Context, uint64, uint64) ([]attestation.Digest, error) {
	return nil, nil
}

func (l *memory) Attachment(_ context.Context, sum attestation.Digest) ([]byte, error) {
	data, ok := l.attachments[sum]
	if !ok {
		return nil, fmt.Errorf("no attachment %s", sum)
	}
	return data, nil
}

func (l *memory) attach(data []byte) attestation.Digest {
	sum := attestation.Digest(sha256.Sum256(data))
	l.attachments[sum] = data
	return sum
}

// must stands for errors that only a broken test has.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// write makes a scenario's ledger.
func write(ctx context.Context, s *dashboardtest.Scenario) *memory {
	l := &memory{attachments: map[attestation.Digest][]byte{}}
	add := func(kind ledger.Kind, at time.Time, body []byte) {
		l.entries = append(l.entries, &ledger.Entry{Kind: kind, ReceivedAt: at, Body: body})
	}
	for _, b := range s.Builders {
		key := signingtest.Named(b.Label).Public()
		e := enrolment.Enrolment{Builder: key.Builder(), PublicKey: key.DER(), Operator: b.Operator, Tier: b.Tier}
		add(ledger.Enrolment, s.EnrolledAt(), must(e.Encode()))
	}
	for _, entry := range s.Entries {
		switch {
		case entry.Set != nil:
			var members []pkgset.Member
			for _, m := range entry.Set.Members {
				members = append(members, pkgset.Member{
					Key: m.Key, Attribute: m.Attribute, Version: m.Version, System: m.System,
					Maintainers: m.Maintainers, Inputs: slices.Sorted(slices.Values(m.Inputs)),
				})
			}
			attachment := must(pkgset.Encode(entry.Set.Ecosystem, members))
			e := pkgset.Entry{
				Name: entry.Set.Name, Revision: entry.Set.Revision, Ecosystem: entry.Set.Ecosystem,
				Members: len(members), SHA256: l.attach(attachment),
			}
			add(ledger.PackageSet, entry.At, must(e.Encode()))
		case entry.Revoke != "":
			e := enrolment.Revocation{Builder: dashboardtest.ID(entry.Revoke), From: l.Size()}
			add(ledger.Revocation, entry.At, must(e.Encode()))
		default:
			signer := signingtest.Named(entry.Builder)
			add(ledger.Attestation, entry.At, must(signer.Sign(ctx, entry.Statement)))
		}
	}
	return l
}

// open indexes a ledger and returns what answers from it.
func open(t *testing.T, l *memory) (*query.Query, *index.Index) {
	t.Helper()
	options := chdbtest.Database(t)
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	ended := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
		conn := must(clickhouse.Open(options))
		defer conn.Close()
		if err := conn.Exec(ended, "DROP DATABASE IF EXISTS "+options.Auth.Database+"_1 SYNC"); err != nil {
			t.Error(err)
		}
	})
	x, err := index.New(t.Context(), index.Config{}, s, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return query.New(s, l, x), x
}

// storable gives a scenario times that a ledger can hold.
func storable(of func(now time.Time) *dashboardtest.Scenario) *dashboardtest.Scenario {
	s := of(time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC))
	for i := range s.Entries {
		s.Entries[i].At = s.Entries[i].At.Truncate(time.Millisecond)
		if statement := s.Entries[i].Statement; statement != nil {
			for j := range statement.Builds {
				statement.Builds[j].Finished = s.Entries[i].At.Add(-time.Minute)
			}
		}
	}
	return s
}

// TestSetsContract: of revisions and changes the index answers as package dashboard expects
// of every source.
func TestSetsContract(t *testing.T) {
	dashboardtest.SetsContract(t, func(t *testing.T, s *dashboardtest.Scenario) dashboard.Source {
		q, _ := open(t, write(t.Context(), storable(func(time.Time) *dashboardtest.Scenario { return s })))
		return q
	})
}

// TestPackagesContract: likewise of packages and maintainers.
func TestPackagesContract(t *testing.T) {
	dashboardtest.PackagesContract(t, func(t *testing.T, s *dashboardtest.Scenario) dashboard.Source {
		q, _ := open(t, write(t.Context(), storable(func(time.Time) *dashboardtest.Scenario { return s })))
		return q
	})
}

// TestAnswers compares every answer with that of the source in memory, over the
// same ledger.
func TestAnswers(t *testing.T) {
	t.Run("sample", func(t *testing.T) { testAnswers(t, storable(dashboardtest.Sample)) })
	t.Run("revised", func(t *testing.T) { testSetAnswers(t, storable(dashboardtest.Revised)) })
	t.Run("copied", func(t *testing.T) { testAnswers(t, storable(dashboardtest.Copied)) })
}

func testAnswers(t *testing.T, scenario *dashboardtest.Scenario) {
	q, _ := open(t, write(t.Context(), scenario))
	fake := dashboardtest.NewFake(scenario)
	ctx := t.Context()

	ask := asking(t, fake, q)
	ask("watermark", func(s dashboard.Source) (any, error) { return s.Watermark(ctx) })
	ask("sets", func(s dashboard.Source) (any, error) { return s.Sets(ctx) })
	ask("builders", func(s dashboard.Source) (any, error) { return s.Builders(ctx) })
	ask("comparison", func(s dashboard.Source) (any, error) {
		c, err := s.Comparison(ctx)
		list := c.Pairs
		for i, a := range list {
			if a.A > a.B {
				list[i].A, list[i].B = a.B, a.A
			}
		}
		slices.SortFunc(list, func(a, b dashboard.Agreement) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) })
		return c, err
	})
	for _, set := range []string{"", "nixos-minimal", "none"} {
		ask("summary of "+set, func(s dashboard.Source) (any, error) { return s.Summary(ctx, set) })
		ask("history of "+set, func(s dashboard.Source) (any, error) {
			days, err := s.History(ctx, set)
			return slices.DeleteFunc(days, func(d dashboard.DayCounts) bool { // the day of publication, with nothing built
				return d.Single+d.Reproduced+d.Diverged == 0
			}), err
		})
	}
	ask("summaries", func(s dashboard.Source) (any, error) {
		return s.Summaries(ctx, []string{"none", "nixos-minimal", "gone"})
	})
	for _, b := range scenario.Builders {
		ask("builder "+b.Label, func(s dashboard.Source) (any, error) {
			detail, err := s.Builder(ctx, dashboardtest.ID(b.Label))
			detail.Recent = nil // the index gives the first output of each statement
			return detail, err
		})
	}
	asked := map[string]bool{}
	for _, entry := range scenario.Entries {
		if entry.Statement == nil {
			continue
		}
		for _, build := range entry.Statement.Builds {
			if asked[build.Name] {
				continue
			}
			asked[build.Name] = true
			ask("build "+build.Name, func(s dashboard.Source) (any, error) { return s.Build(ctx, build.Name) })
		}
		if entry.Statement.Type == attestation.BuildFailed {
			continue
		}
		for _, subject := range entry.Statement.Subjects {
			if !asked[subject.Name] {
				asked[subject.Name] = true
				ask("output "+subject.Name, func(s dashboard.Source) (any, error) { return s.Output(ctx, subject.Name) })
			}
			if asked[subject.Digest.Hex()] {
				continue
			}
			asked[subject.Digest.Hex()] = true
			ask("digest "+subject.Digest.Hex(), func(s dashboard.Source) (any, error) { return s.ByDigest(ctx, subject.Digest) })
		}
	}
	for _, text := range []string{"openssl", "OpenSSL-3", "-man", "100%_'", ".drv", `\`, "tex", "drv\n", "É"} {
		ask("search "+text, func(s dashboard.Source) (any, error) {
			return s.Search(ctx, dashboard.SearchQuery{Text: text, Limit: 100})
		})
	}
	for _, c := range []dashboard.DivergenceQuery{
		{},
		{Set: "nixos-minimal"},
		{Set: "none"},
		{Shape: "outlier"},
		{Shape: "scatter", Maintainer: "grace"},
		{Cause: "own"},
		{Cause: "inherited"},
		{Cause: "unknown"},
		{Builder: dashboardtest.ID("elm")},
		{Builder: dashboardtest.ID("hazel")},
		{Set: "nixos-minimal", Shape: "split", Cause: "own", Maintainer: "ada", Builder: dashboardtest.ID("alder")},
		{Cursor: "nonsense"},
	} {
		c.Limit = 100
		ask(fmt.Sprintf("divergences %+v", c), func(s dashboard.Source) (any, error) { return s.Divergences(ctx, c) })
	}
	if _, err := q.Output(ctx, "no such output"); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("unknown output: error %v, want %v", err, dashboard.ErrNotFound)
	}
}

// asking has the source in memory and the index asked the same.
func asking(t *testing.T, fake, q dashboard.Source) func(string, func(dashboard.Source) (any, error)) {
	return func(name string, of func(dashboard.Source) (any, error)) {
		t.Helper()
		want, wantErr := of(fake)
		got, gotErr := of(q)
		if (wantErr == nil) != (gotErr == nil) {
			t.Errorf("%s: error %v, want %v", name, gotErr, wantErr)
			return
		}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-memory +index):\n%s", name, diff)
		}
	}
}

// testSetAnswers compares what is said of the revisions of a set.
func testSetAnswers(t *testing.T, scenario *dashboardtest.Scenario) {
	q, _ := open(t, write(t.Context(), scenario))
	ask, ctx := asking(t, dashboardtest.NewFake(scenario), q), t.Context()
	for _, set := range []string{"nixos-minimal", "none"} {
		ask("revisions of "+set, func(s dashboard.Source) (any, error) { return s.SetRevisions(ctx, set, 10) })
		ask("difference of "+set, func(s dashboard.Source) (any, error) { return s.SetDifference(ctx, set, "", 100) })
		ask("changes in "+set, func(s dashboard.Source) (any, error) { return s.SetChanges(ctx, set, 1000) })
		ask("changes of "+set, func(s dashboard.Source) (any, error) {
			list, _, err := s.Changes(ctx, dashboard.ChangeQuery{Set: set, Maintainer: "ada", Limit: 1000})
			return list, err
		})
	}
	packages, err := q.Packages(ctx, dashboard.PackageQuery{Limit: 1000})
	if err != nil || len(packages.Packages) < 40 {
		t.Fatalf("%d packages, %v", len(packages.Packages), err)
	}
	ask("packages", func(s dashboard.Source) (any, error) { return s.Packages(ctx, dashboard.PackageQuery{Limit: 1000}) })
	for _, p := range packages.Packages {
		ask("package "+p.Name, func(s dashboard.Source) (any, error) {
			return s.Package(ctx, dashboard.VersionsQuery{Name: p.Name, Ecosystem: p.Ecosystem, Limit: 10})
		})
	}
	ask("maintainers", func(s dashboard.Source) (any, error) { return s.Maintainers(ctx, dashboard.MaintainerQuery{Limit: 10}) })
	for _, name := range []string{"ada", "grace", "linus", "none"} {
		ask("maintainer "+name, func(s dashboard.Source) (any, error) { return s.Maintainer(ctx, name, 100) })
	}
	ask("changes", func(s dashboard.Source) (any, error) {
		list, _, err := s.Changes(ctx, dashboard.ChangeQuery{Limit: 7})
		return list, err
	})
}
