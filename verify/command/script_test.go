package command

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"repronet.dev/attestation"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/internal/cli"
	"repronet.dev/ledger"
	"repronet.dev/pkgset"
	"repronet.dev/replay"
	"repronet.dev/signing"
	"repronet.dev/snapshot"
	"repronet.dev/snapshot/snapshottest"
	"repronet.dev/verify/verifytest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"repronet-verify": func() {
			cli.Main(Program())
		},
	})
}

// TestScripts runs the real program against real ledgers. Besides testscript's
// own, the scripts have the commands of a [world].
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			testscript.Run(t, testscript.Params{
				Files: []string{file}, RequireExplicitExec: true, RequireUniqueNames: true,
				Setup: func(env *testscript.Env) error {
					env.Setenv("URL", w.url)
					env.Setenv("HOME", env.WorkDir)
					env.Setenv("VERIFYSCRIPT", opensslVerify(t))
					env.Setenv("OUTPUT", verifytest.Output)
					env.Setenv("LOGKEY", w.ledger.Key.String())
					env.Setenv("WITNESS", w.witness.String())
					env.Setenv("ABSENT", newWitness(t, "absent.example.org").String())
					env.Setenv("OTHERKEY", verifytest.NewLedger(t).Key.String())
					for name, signer := range w.builders {
						if err := os.WriteFile(filepath.Join(env.WorkDir, name+".pem"), signer.Public().PEM(), 0o600); err != nil {
							return err
						}
					}
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"status": status, "attest": w.attest, "withdraw": w.withdraw, "revoke": w.revoke, "forge": w.forge,
					"publish": w.publish, "fork": w.fork, "rewrite": w.rewrite, "remove": w.remove, "honest": w.honest,
					"remember": w.remember, "certify": w.certify, "erase": w.erase, "lose": w.lose, "stale": w.stale, "ahead": w.ahead, "cosign": w.cosign,
					"append": w.append, "set": w.set, "snapshot": w.snapshot, "falsify": w.falsify,
				},
			})
		})
	}
}

// opensslVerify is the script that checks a bundle with openssl alone.
func opensslVerify(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "e2e", "openssl-verify.sh"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// status runs a program and wants an exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// A world is a ledger, its builders and a server that shows it, or not.
type world struct {
	t        *testing.T
	ledger   *verifytest.Ledger
	builders map[string]*signing.Signer
	url      string
	shown    atomic.Pointer[http.Handler]
	old      *ledger.Checkpoint // for stale
	witness  *ledger.WitnessSigner
	person   *openpgptest.Person
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, ledger: verifytest.NewLedger(t), builders: map[string]*signing.Signer{}, witness: newWitness(t, "w.example.org")}
	for _, operator := range []string{"alice", "bob", "carol"} {
		w.builders[operator] = w.ledger.Enrol(operator)
	}
	w.ledger.Publish()
	w.show(w.ledger.Handler())
	w.url = verifytest.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/outputs") || strings.HasPrefix(r.URL.Path, "/api/v1/summary") {
			t.Errorf("the aggregator's opinion was asked for: %s", r.URL)
		}
		(*w.shown.Load()).ServeHTTP(rw, r)
	}))
	return w
}

func (w *world) show(handler http.Handler) { w.shown.Store(&handler) }

func (w *world) builder(ts *testscript.TestScript, name string) *signing.Signer {
	signer, ok := w.builders[name]
	if !ok {
		ts.Fatalf("no builder %q", name)
	}
	return signer
}

// digest reads a number, or the name of a file whose digest it is.
func digest(ts *testscript.TestScript, text string) attestation.Digest {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return verifytest.Digest(byte(n))
	}
	d, err := attestation.ParseDigest(text)
	ts.Check(err)
	return d
}

// append KIND BODY
func (w *world) append(_ *testscript.TestScript, _ bool, args []string) {
	w.ledger.Append(ledger.Kind(args[0]), []byte(args[1]))
}

// attest BUILDER DIGEST [STORE-PATH...]
func (w *world) attest(ts *testscript.TestScript, _ bool, args []string) {
	builder, d := w.builder(ts, args[0]), digest(ts, args[1])
	if len(args) == 2 {
		w.ledger.Attest(builder, d)
	}
	for _, path := range args[2:] {
		w.ledger.AttestOutput(builder, "nix", path+".drv", path, attestation.NAR, d)
	}
}

// set NAME REVISION FILE publishes a package set.
func (w *world) set(ts *testscript.TestScript, _ bool, args []string) {
	list, err := pkgset.Parse("nix", strings.NewReader(ts.ReadFile(args[2])))
	ts.Check(err)
	w.ledger.PublishSet(args[0], args[1], "nix", list.Members)
}

// withdraw BUILDER DIGEST [STORE-PATH]
func (w *world) withdraw(ts *testscript.TestScript, _ bool, args []string) {
	builder, d := w.builder(ts, args[0]), digest(ts, args[1])
	if len(args) == 2 {
		w.ledger.Withdraw(builder, d)
		return
	}
	w.ledger.WithdrawOutput(builder, "nix", args[2], attestation.NAR, d)
}

// revoke BUILDER
func (w *world) revoke(ts *testscript.TestScript, _ bool, args []string) {
	w.ledger.Revoke(w.builder(ts, args[0]).Public().Builder(), 0)
}

// forge BUILDER OTHER: a claim of the one, signed by the other.
func (w *world) forge(ts *testscript.TestScript, _ bool, args []string) {
	name, signer := w.builder(ts, args[0]), w.builder(ts, args[1])
	bundle := verifytest.Sign(w.t, signer, &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: verifytest.Output, Digest: verifytest.Digest(1)}},
	})
	w.ledger.Append(ledger.Attestation, []byte(strings.Replace(string(bundle), signer.Public().Hint(), name.Public().Hint(), 1)))
}

// certify enrols a person with an OpenPGP key, who signs a checksum document.
func (w *world) certify(*testscript.TestScript, bool, []string) {
	w.person, _ = w.ledger.Certify("dave")
	w.ledger.Sums(w.person, strings.Repeat("a", 64)+"  file\n")
}

// erase takes the person's certificate away.
func (w *world) erase(*testscript.TestScript, bool, []string) { w.ledger.Erase(w.person.Sum()) }

// lose removes the person's certificate without an entry that says so.
func (w *world) lose(*testscript.TestScript, bool, []string) { w.ledger.Lose(w.person.Sum()) }

// publish waits for a checkpoint.
func (w *world) publish(*testscript.TestScript, bool, []string) { w.ledger.Publish() }

// fork shows another history of the same log, with N entries.
func (w *world) fork(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	twin := w.ledger.Twin()
	twin.Fill(n, "another history")
	twin.Publish()
	w.show(twin.Handler())
}

// rewrite FILE CONTENTS shows a file of the log with other contents.
func (w *world) rewrite(_ *testscript.TestScript, _ bool, args []string) {
	w.show(verifytest.Replacing(w.ledger.Handler(), args[0], []byte(args[1])))
}

// remove FILE shows the log without a file.
func (w *world) remove(_ *testscript.TestScript, _ bool, args []string) {
	w.show(verifytest.Replacing(w.ledger.Handler(), args[0], nil))
}

// honest shows the ledger as it is.
func (w *world) honest(*testscript.TestScript, bool, []string) { w.show(w.ledger.Handler()) }

// remember keeps the present checkpoint.
func (w *world) remember(*testscript.TestScript, bool, []string) { w.old = w.ledger.Publish() }

// stale shows the ledger as it was when the checkpoint was remembered.
func (w *world) stale(*testscript.TestScript, bool, []string) {
	w.show(verifytest.Replacing(w.ledger.Handler(), "checkpoint", w.old.Text))
}

// ahead sets the log's clock ahead.
func (w *world) ahead(ts *testscript.TestScript, _ bool, args []string) {
	by, err := time.ParseDuration(args[0])
	ts.Check(err)
	w.ledger.SetAhead(by)
}

// cosign shows the ledger as it is, cosigned by a witness.
func (w *world) cosign(*testscript.TestScript, bool, []string) {
	c := w.ledger.Publish()
	text := slices.Concat(c.Text, w.witness.Cosign(c, time.Now()))
	w.show(verifytest.Replacing(w.ledger.Handler(), "checkpoint", text))
}

func newWitness(t *testing.T, name string) *ledger.WitnessSigner {
	t.Helper()
	signer, err := ledger.NewWitnessSigner(name)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// snapshot DIR makes a snapshot of the ledger, as its aggregator does.
func (w *world) snapshot(ts *testscript.TestScript, _ bool, args []string) {
	c := w.ledger.Publish()
	tree := ledger.NewReader(ledger.Dir(w.ledger.Dir), w.ledger.Key.Verifier()).Tree(c)
	l, err := replay.Find(w.t.Context(), tree, c.Origin, c.Size)
	ts.Check(err)
	_, err = snapshot.Make(w.t.Context(), snapshot.Config{Dir: ts.MkAbs(args[0]), Ledger: l, Root: c.Root, Key: w.ledger.Key, Checkpoint: c.Text})
	ts.Check(err)
}

// falsify DIR changes a value in a snapshot, and has the ledger's key sign it.
func (w *world) falsify(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	snapshottest.Change(w.t, filepath.Join(dir, "verdicts", "generic.parquet"), func(rows []snapshot.Verdict) []snapshot.Verdict {
		rows[0].Operators++
		return rows
	})
	snapshottest.Sign(w.t, dir, w.ledger.Key)
}
