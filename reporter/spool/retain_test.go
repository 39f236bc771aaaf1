package spool

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
)

// TestRetained: what is in no set waits, is sent once when it comes into one, and is
// deleted when its time is over, a part of a record like a whole one.
func TestRetained(t *testing.T) {
	s, signer := newSpool(t)
	w := mustLock(t, s)
	many := nixRecord(1)
	for _, part := range []string{"-man", "-dev", "-doc"} {
		many.Outputs = append(many.Outputs, Output{Key: many.Outputs[0].Key + part, Digest: attestation.Digest{1}})
	}
	mustPut(t, s, many, nixRecord(2))
	var sent []string
	pass := func(want int, chosen ...string) {
		t.Helper()
		choose := func(_, key string) Choice {
			if slices.ContainsFunc(chosen, func(end string) bool { return strings.HasSuffix(key, end) }) {
				return Send
			}
			return Retain
		}
		for again := true; again; {
			if _, err := w.Seal(t.Context(), choose, signer.SignPayload); err != nil {
				t.Fatal(err)
			}
			moved, err := w.Reconsider(choose)
			if err != nil {
				t.Fatal(err)
			}
			again = moved > 0
		}
		// The writer dies, and another goes on.
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w = mustLock(t, s)
		var outcomes []Outcome
		for _, item := range outbox(t, w) {
			for _, subject := range open(t, signer, item).Subjects {
				sent = append(sent, subject.Name)
			}
			outcomes = append(outcomes, Outcome{Item: item, Index: 1})
		}
		if err := w.Settle(outcomes); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Retained(); err != nil || got != want {
			t.Errorf("after %q: %d retained, want %d (%v)", chosen, got, want, err)
		}
	}
	pass(2, "-man")
	pass(2)
	pass(2, "-man", "-dev")
	pass(1, "-man", "-dev", "-doc", many.Outputs[0].Key)
	key := many.Outputs[0].Key
	if diff := cmp.Diff([]string{key + "-man", key + "-dev", key, key + "-doc"}, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if err := w.Expire(time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.Retained(); n != 1 {
		t.Errorf("%d retained before the time is over", n)
	}
	if err := w.Expire(0); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status()
	if err != nil || status.Retained != 0 || status.KeptPrivate != 1 {
		t.Errorf("when the time is over: %+v (%v)", status, err)
	}
}

// TestStrangeFiles: pipes and links in the queue are set aside, not waited for and
// not followed.
func TestStrangeFiles(t *testing.T) {
	s, signer := newSpool(t)
	outside := filepath.Join(t.TempDir(), "secret.json")
	mustPut(t, s, nixRecord(1))
	names, err := s.list(queueDir)
	if err != nil {
		t.Fatal(err)
	}
	queue := filepath.Join(s.dir, queueDir)
	for _, err := range []error{
		os.Rename(filepath.Join(queue, names[0]), outside),
		os.Symlink(outside, filepath.Join(queue, "0-link.json")),
		syscall.Mkfifo(filepath.Join(queue, "0-pipe.json"), 0o600),
		os.Mkdir(filepath.Join(queue, "0-dir.json"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if items := mustSeal(t, mustLock(t, s), signer); len(items) != 0 {
		t.Errorf("%d statements", len(items))
	}
	status, err := s.Status()
	if err != nil || status.Waiting != 0 || len(status.Corrupt) != 3 {
		t.Errorf("status %+v (%v)", status, err)
	}
}
