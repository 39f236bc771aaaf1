package snapshot_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/replay"
	"repronet.dev/signing"
	"repronet.dev/snapshot"
	"repronet.dev/verify/verifytest"
)

// A world is a ledger with every kind of entry that is in a view.
type world struct {
	*verifytest.Ledger
	t               *testing.T
	alice, bob, eve *signing.Signer
}

func newWorld(t *testing.T) *world {
	w := &world{Ledger: verifytest.NewLedger(t), t: t}
	w.alice, w.bob, w.eve = w.Enrol("alice"), w.Enrol("bob"), w.Enrol("eve")
	dave, _ := w.Certify("dave")
	w.say(w.alice, attestation.Rebuild, 0, 12, 1)
	w.PublishSet("stable", "1", "nix", []pkgset.Member{
		{Key: name(1), Build: name(1) + ".drv", Attribute: "hello", Version: "1", System: "x86_64-linux", Maintainers: []string{"ann", "ben"}, Inputs: []string{name(2), name(3)}},
		{Key: name(2), Attribute: "two"},
		{Key: name(3), Fixed: true},
		{Key: name(99)},
	})
	w.say(w.bob, attestation.Rebuild, 0, 8, 1)
	w.say(w.bob, attestation.Rebuild, 8, 12, 2)
	w.say(w.eve, attestation.Rebuild, 4, 6, 3)
	w.say(w.eve, attestation.Withdraw, 5, 6, 3)
	w.say(w.eve, attestation.BuildFailed, 20, 22, 0)
	w.Sums(dave, strings.Repeat("ab", 32)+"  demo-1.0.tar.gz\n")
	w.Revoke(w.eve.Public().Builder(), 3)
	w.PublishSet("stable", "2", "nix", []pkgset.Member{{Key: name(1)}})
	return w
}

func name(n int) string {
	return fmt.Sprintf("/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-%d", n)
}

// say has a builder say of outputs from ≤ n < to that they had a digest of a variant.
func (w *world) say(signer *signing.Signer, what attestation.PredicateType, from, to int, variant byte) {
	w.t.Helper()
	s := &attestation.Statement{
		Type: what, Ecosystem: "nix", DigestKind: attestation.NAR, Environment: map[string]string{"system": "x86_64-linux", "kernel": fmt.Sprint(variant)},
	}
	for n := from; n < to; n++ {
		subject := attestation.Subject{Name: name(n), Digest: attestation.Digest{1, variant, byte(n)}}
		build := attestation.Build{Name: name(n) + ".drv", Outputs: []int{n - from}, Finished: time.Now(), Occasion: attestation.OccasionBuild, InputsDigest: attestation.Digest{variant}}
		switch what {
		case attestation.Rebuild:
		case attestation.BuildFailed:
			s.DigestKind, subject.Name, build.Failure = attestation.File, build.Name, "exit status 2"
			build.InputsDigest = attestation.Digest{}
		case attestation.Withdraw:
			s.Reason, s.Environment = "a broken disk", nil
		}
		s.Subjects = append(s.Subjects, subject)
		if what != attestation.Withdraw {
			s.Builds = append(s.Builds, build)
		}
	}
	w.Append(ledger.Attestation, verifytest.Sign(w.t, signer, s))
}

// sayRandom has a builder say of outputs from ≤ n < to that they had some digest.
func (w *world) sayRandom(signer *signing.Signer, from, to int) {
	w.t.Helper()
	s := &attestation.Statement{Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR}
	for n := from; n < to; n++ {
		digest := attestation.Digest(sha256.Sum256(fmt.Append(nil, n)))
		s.Subjects = append(s.Subjects, attestation.Subject{Name: name(n), Digest: digest})
		s.Builds = append(s.Builds, attestation.Build{Name: name(n) + ".drv", Outputs: []int{n - from}, Finished: time.Now(), Occasion: attestation.OccasionBuild, InputsDigest: digest})
	}
	w.Append(ledger.Attestation, verifytest.Sign(w.t, signer, s))
}

// config says how to make a snapshot of the ledger as it is published.
func (w *world) config(dir string) snapshot.Config {
	w.t.Helper()
	checkpoint := w.Publish()
	tree := ledger.NewReader(ledger.Dir(w.Dir), w.Key.Verifier()).Tree(checkpoint)
	l, err := replay.Find(w.t.Context(), tree, checkpoint.Origin, checkpoint.Size)
	if err != nil {
		w.t.Fatal(err)
	}
	attachments, err := ledger.OpenAttachments(w.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return snapshot.Config{
		Dir: dir, Ledger: l, Root: checkpoint.Root, Key: w.Key, Checkpoint: checkpoint.Text,
		Replay: replay.Config{Attachment: func(ctx context.Context, sum attestation.Digest) ([]byte, error) {
			return attachments.Get(ctx, ledger.AttachmentID(sum))
		}},
	}
}

func (w *world) make(config snapshot.Config) string {
	w.t.Helper()
	if _, err := snapshot.Make(w.t.Context(), config); err != nil {
		w.t.Fatal(err)
	}
	return config.Dir
}

func (w *world) read(path string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// write replaces a file, which another snapshot may have, too.
func (w *world) write(path, text string) {
	w.t.Helper()
	if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}
