package aggregator

import (
	"errors"
	"strings"
	"testing"

	"repronet.dev/replay"
	"repronet.dev/verify"
)

// replay replays a mirror.
func (w *world) replay(m *verify.Mirror) *replay.Replay {
	w.t.Helper()
	r, err := w.readReplay(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.Close() })
	return r
}

func (w *world) readReplay(m *verify.Mirror) (*replay.Replay, error) {
	w.t.Helper()
	return replay.Read(w.t.Context(), replay.Config{
		Dir: w.t.TempDir(), Attachment: m.Attachments(must(verify.Dial(w.url)).Log()),
	}, replay.Ledger{Tree: m.Tree(), Roster: must(m.RosterEntries()), Erased: must(m.Erasures()), Size: m.Tree().Size(), Origin: m.Tree().Origin()})
}

// compare replays the mirror and compares with what the server publishes.
func (w *world) compare(m *verify.Mirror) error {
	w.t.Helper()
	p, err := replay.Fetch(w.t.Context(), w.url, w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	defer p.Close()
	if p.Size != m.Tree().Size() {
		w.t.Fatalf("published of %d entries, the mirror has %d", p.Size, m.Tree().Size())
	}
	return w.replay(m).Compare(w.t.Context(), p, func(*replay.Output) {})
}

// TestReplay compares a replay with a real server, first as it is and then with
// rows of its index changed by hand.
func TestReplay(t *testing.T) {
	w := newWorld(t, nil)
	w.history()
	w.settle()
	if err := w.index.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	dave := w.enrol("dave") // whom the roll-up does not know
	w.attest(dave, 100, 130, 3)
	w.settle()
	m := w.mirror()
	if err := w.compare(m); err != nil {
		t.Fatalf("an honest aggregator: %v", err)
	}
	output := func(column, n string) string {
		return "(SELECT " + column + " FROM repronet_1.outputs WHERE key LIKE '%-hello-" + n + "' LIMIT 1)"
	}
	update := func(table, what, output string) string {
		return "ALTER TABLE " + table + " UPDATE " + what + " WHERE output = " + output + " SETTINGS mutations_sync = 1"
	}
	for _, test := range []struct{ name, change, back, want string }{
		{
			"a verdict",
			"INSERT INTO verdicts SELECT * REPLACE (version + 1 AS version, 1 AS verdict) FROM verdicts FINAL WHERE output = " + output("output", "60"),
			"INSERT INTO verdicts SELECT * REPLACE (version + 1 AS version, 2 AS verdict) FROM verdicts FINAL WHERE output = " + output("output", "60"),
			outputName(60) + ": verdict: the ledger makes reproduced, published is single",
		},
		{
			"a change",
			"INSERT INTO verdict_changes SELECT output, log_index + 1, new, old FROM verdict_changes WHERE output = " + output("output", "10"),
			"ALTER TABLE verdict_changes DELETE WHERE old > new AND output = " + output("output", "10") + " SETTINGS mutations_sync = 1",
			outputName(10) + ": history: the ledger makes nothing, published is single to unbuilt at ledger index",
		},
		{
			"a day of a set",
			"INSERT INTO counts SELECT scope, day, version + 1, unbuilt, single, reproduced + 1, diverged FROM counts FINAL WHERE scope = 'stable'",
			"INSERT INTO counts SELECT scope, day, version + 1, unbuilt, single, reproduced - 1, diverged FROM counts FINAL WHERE scope = 'stable'",
			"package set stable: history: the ledger makes ",
		},
		{
			"when a divergence began",
			update("divergences", "since = since - 1", output("output", "120")), update("divergences", "since = since + 1", output("output", "120")),
			outputName(120) + ": divergence: the ledger makes diverged (split) by 4 operators with 3 digests since ledger index",
		},
		{
			"a divergence that is not listed",
			update("divergences", "diverged = 0", output("output", "120")), update("divergences", "diverged = 1", output("output", "120")),
			"published is nothing",
		},
		{
			"a builder's observations",
			"ALTER TABLE builders UPDATE observations = observations + 1 WHERE builder = 2 SETTINGS mutations_sync = 1",
			"ALTER TABLE builders UPDATE observations = observations - 1 WHERE builder = 2 SETTINGS mutations_sync = 1",
			": builder: the ledger makes counted of carol: 2 attestations, 200 observations, the last on ",
		},
		{
			"an agreement",
			"ALTER TABLE agreement UPDATE agree = agree - 1 WHERE agree > 0 SETTINGS mutations_sync = 1",
			"ALTER TABLE agreement UPDATE agree = agree + 1 WHERE common > 0 AND a = 0 AND b = 1 SETTINGS mutations_sync = 1",
			"operators alice and bob: agreement: the ledger makes 100 of 100 alike, published is 99 of 100 alike",
		},
		{
			"a total",
			"INSERT INTO watermark SELECT id, size, outputs, attestations + 1, observations, failures, ignored, builders, operators, received_at, origin, root FROM watermark FINAL; ",
			"OPTIMIZE TABLE watermark FINAL",
			"all outputs: attestations: the ledger makes 6, published is 7",
		},
	} {
		w.sql(test.change)
		if strings.Contains(test.change, "watermark") {
			w.sql(test.back) // so that the newer of two rows of one size holds
		}
		err := w.compare(m)
		if _, ok := errors.AsType[*replay.Difference](err); !ok || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s changed: %v, want %q", test.name, err, test.want)
		}
		if !strings.Contains(test.change, "watermark") {
			w.sql(test.back)
			if err := w.compare(m); err != nil {
				t.Errorf("%s changed back: %v", test.name, err)
			}
		}
	}
}
