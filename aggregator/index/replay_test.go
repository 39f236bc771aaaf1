package index_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/aggregator/store"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/ledger"
	"repronet.dev/replay"
)

// records shows a ledger in memory as a replay reads one.
type records struct{ log *memory }

func (r records) Record(_ context.Context, index uint64) (ledger.Record, error) {
	data, err := r.log.entries[index].Encode()
	return ledger.Record{Index: index, Data: data}, err
}

func (r records) Records(ctx context.Context, from, to uint64) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		for ; from < to && yield(r.Record(ctx, from)); from++ {
		}
	}
}

// TestReplay compares a replay of random histories, over many days, with the
// model with which the index is compared.
func TestReplay(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t)
		w.random(rand.New(rand.NewPCG(seed, 7)), 700)
		m := newModel()
		var roster []uint64
		for i, e := range w.log.entries {
			m.apply(uint64(i), e, w.log)
			if e.Kind == ledger.Enrolment || e.Kind == ledger.Revocation {
				roster = append(roster, uint64(i))
			}
		}
		r, err := replay.Read(t.Context(), replay.Config{
			Dir: t.TempDir(), Attachment: w.log.Attachment,
		}, replay.Ledger{Tree: records{w.log}, Roster: roster, Size: w.log.Size()})
		if err != nil {
			t.Fatal(err)
		}
		got := judgedBy(t, r)
		want := m.result()
		outputs := map[attestation.OutputID]outputResult{}
		for n := range m.known {
			ecosystem, key := split(n)
			o := want.Outputs[n]
			o.Claims = nil
			outputs[attestation.NewOutputID(ecosystem, key)] = o
		}
		if diff := cmp.Diff(outputs, got, sameResult); diff != "" {
			t.Errorf("seed %d: outputs (-model +replay):\n%s", seed, diff)
		}
		days := map[string]map[time.Time]store.Counts{}
		scopes := []string{""}
		for _, s := range r.Sets() {
			scopes = append(scopes, s.Name)
		}
		for _, scope := range scopes {
			days[scope] = map[time.Time]store.Counts{}
			for _, d := range r.History(scope) {
				days[scope][d.Day] = store.Counts(d.Counts)
			}
		}
		if diff := cmp.Diff(want.Days, days, sameResult); diff != "" {
			t.Errorf("seed %d: days (-model +replay):\n%s", seed, diff)
		}
		totals := replay.Totals{
			Builders: uint64(want.Watermark.Builders), Operators: uint64(want.Watermark.Operators), Attestations: want.Watermark.Attestations,
			Observations: want.Watermark.Observations, Failures: want.Watermark.Failures,
		}
		if diff := cmp.Diff(totals, r.Totals); diff != "" {
			t.Errorf("seed %d: totals (-model +replay):\n%s", seed, diff)
		}
		if len(got) == 0 || r.Counts("")[divergence.Diverged] == 0 || len(r.Sets()) != 2 {
			t.Errorf("seed %d: %d outputs and %d sets compare nothing", seed, len(got), len(r.Sets()))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// split undoes name.
func split(n string) (ecosystem, key string) {
	ecosystem, key, _ = strings.Cut(n, " ")
	return ecosystem, key
}

// judgedBy returns the verdicts and histories of a replay.
func judgedBy(t testing.TB, r *replay.Replay) map[attestation.OutputID]outputResult {
	t.Helper()
	got := map[attestation.OutputID]outputResult{}
	if err := r.Judge(t.Context(), func(o *replay.Output) error {
		result := outputResult{Judgement: o.Judgement}
		for _, c := range o.Changes {
			result.Since, result.Previous = c.Index, c.From
			result.Changes = append(result.Changes, change{c.Index, c.From, c.To})
		}
		got[o.ID] = result
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
