package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"repronet.dev/api"
	"repronet.dev/enrolment/request"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/internal/chdb/chdbtest"
	"repronet.dev/internal/cli"
	"repronet.dev/signing"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore/sigstoretest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"repronet-aggregator": func() { cli.Main(Program()) }})
}

const origin = "repro.example.org/2026"

// TestScripts runs the real program on real data directories, with the real engine. Each
// script runs twice: "served", where administrative commands reach a running server, and
// "alone", where they open the data directory themselves; they say the same on both ways.
//
// $REPRONET_AGGREGATOR_DATA names data/, which is not there yet. The scripts have
//
//	status N COMMAND …  runs a command that must end with that exit status
//	found               founds a ledger, and when served, starts the server
//	serve [OPTION …]    starts the server; $URL is its address
//	stop                stops it, which must end well
//	ask NAME [OPERATOR] asks to be enrolled with the key of NAME.pem (alice, bob or carol)
//	                    for an operator, by default of the same name
//	settle              stops the server unless served
//
// and $ALICE, $BOB and $CAROL, the IDs of builders, with $ALICE_ and so on, their first six
// characters; sigs/builder-keys/ has the OpenPGP certificates whose SHA-256 are $DAVE and
// $ERIN.
func TestScripts(t *testing.T) {
	engine := chdbtest.Library(t)
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		for _, served := range []bool{false, true} {
			name := strings.TrimSuffix(filepath.Base(file), ".txtar") + "/alone"
			if served {
				name = strings.TrimSuffix(name, "alone") + "served"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := &world{t: t, served: served, signers: map[string]*signing.Signer{}}
				testscript.Run(t, testscript.Params{
					Files: []string{file}, RequireExplicitExec: true, RequireUniqueNames: true,
					Setup: func(env *testscript.Env) error { return w.setUp(env, engine) },
					Cmds: map[string]func(*testscript.TestScript, bool, []string){
						"status": status, "found": w.found, "serve": w.serve, "stop": w.stop, "ask": w.ask, "settle": w.settle,
					},
				})
			})
		}
	}
}

// A world is one script's files, keys and server.
type world struct {
	t       *testing.T
	served  bool
	signers map[string]*signing.Signer
	server  *exec.Cmd // nil: none runs
	stderr  bytes.Buffer
}

func (w *world) setUp(env *testscript.Env, engine string) error {
	env.Setenv("REPRONET_ENGINE", engine)
	env.Setenv("REPRONET_AGGREGATOR_DATA", filepath.Join(env.WorkDir, "data"))
	env.Setenv("ORIGIN", origin)
	files := map[string][]byte{"root.json": sigstoretest.New(w.t).TrustedRoot(w.t)}
	for _, name := range []string{"alice", "bob", "carol"} {
		signer := signingtest.New(w.t)
		id := string(signer.Public().Builder())
		w.signers[name] = signer
		files[name+".pem"], files[name+".id"] = signer.Public().PEM(), []byte(id+"\n")
		env.Setenv(strings.ToUpper(name), id)
		env.Setenv(strings.ToUpper(name)+"_", id[:6])
	}
	for _, name := range []string{"dave", "erin"} {
		person := openpgptest.NewPerson(w.t, name, time.Now().Add(-time.Hour))
		files["sigs/builder-keys/"+name+".gpg"] = person.Bytes()
		env.Setenv(strings.ToUpper(name), person.Sum().Hex())
	}
	for name, content := range files {
		path := filepath.Join(env.WorkDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	env.Defer(func() {
		if w.server != nil {
			_ = w.server.Process.Kill()
			_ = w.server.Wait()
		}
		if w.t.Failed() {
			w.t.Logf("the server said:\n%s", w.stderr.String())
		}
	})
	return nil
}

// status runs a program and wants an exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func (w *world) found(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("repronet-aggregator", "init", "--origin", origin))
	if w.served {
		w.serve(ts, false, nil)
	}
}

func (w *world) serve(ts *testscript.TestScript, _ bool, args []string) {
	program, err := exec.LookPath("repronet-aggregator")
	ts.Check(err)
	// It is stopped in order, so it does not end with the context.
	server := exec.CommandContext(context.WithoutCancel(w.t.Context()), program,
		append([]string{"serve", "--listen", "127.0.0.1:0", "--checkpoint-interval", "200ms"}, args...)...)
	server.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "REPRONET_ENGINE", "REPRONET_AGGREGATOR_DATA"} {
		server.Env = append(server.Env, name+"="+ts.Getenv(name))
	}
	server.Stderr = &w.stderr
	stdout, err := server.StdoutPipe()
	ts.Check(err)
	ts.Check(server.Start())
	w.server = server
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		err := server.Wait()
		w.server = nil
		ts.Fatalf("the server ended at once: %v\n%s", err, w.stderr.String())
	}
	ts.Setenv("URL", lines.Text())
	ts.Setenv("ADDRESS", strings.TrimPrefix(lines.Text(), "http://"))
	response, err := http.Get(lines.Text() + "/log/key")
	ts.Check(err)
	key, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	ts.Setenv("KEY", strings.TrimSpace(string(key)))
}

func (w *world) stop(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(w.server.Process.Signal(syscall.SIGTERM))
	err := w.server.Wait()
	w.server = nil
	if err != nil {
		ts.Fatalf("the server ended with: %v\n%s", err, w.stderr.String())
	}
}

func (w *world) settle(ts *testscript.TestScript, _ bool, _ []string) {
	if !w.served {
		w.stop(ts, false, nil)
	}
}

func (w *world) ask(ts *testscript.TestScript, _ bool, args []string) {
	signer := w.signers[args[0]]
	r := &request.Request{
		Origin: origin, PublicKey: signer.Public(), Created: time.Now().UTC().Truncate(time.Second), Operator: args[len(args)-1], Contact: args[0] + "@example.org",
	}
	payload, err := r.Encode()
	ts.Check(err)
	bundle, err := signer.SignPayload(w.t.Context(), payload)
	ts.Check(err)
	text, err := (&request.Document{Request: bundle}).Encode()
	ts.Check(err)
	post, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, ts.Getenv("URL")+api.EnrolmentsPath, bytes.NewReader(text))
	ts.Check(err)
	post.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(post)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	if answer.StatusCode != http.StatusAccepted {
		ts.Fatalf("the request was answered with %s", answer.Status)
	}
}
