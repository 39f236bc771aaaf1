package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/reporter/spool"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore/sigstoretest"
)

// A volunteer is a person with a machine, who never writes a mail.
type volunteer struct {
	t   *testing.T
	dir string
}

func newVolunteer(t *testing.T, aggregator, operator string) *volunteer {
	t.Helper()
	v := &volunteer{t, filepath.Join(t.TempDir(), operator)}
	v.run(0, "init", "--aggregator", aggregator, "--operator", operator, "--report", "all", "--consent-cc0")
	return v
}

// run runs the reporter, which has to end with a status, and returns what it said.
func (v *volunteer) run(status int, words ...string) (stdout, stderr string) {
	v.t.Helper()
	command := exec.CommandContext(v.t.Context(), programs().Reporter(), append(words, "--dir", v.dir)...)
	var out, messages strings.Builder
	command.Stdout, command.Stderr = &out, &messages
	err := command.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && !ended {
		v.t.Fatal(err)
	}
	got := 0
	if ended {
		got = exit.ExitCode()
	}
	if got != status {
		v.t.Fatalf("%s: exit status %d, want %d\n%s%s", strings.Join(words, " "), got, status, &out, &messages)
	}
	return out.String(), messages.String()
}

// attest builds something, of which every volunteer with the same content has the
// same result.
func (v *volunteer) attest(build, content string) {
	v.t.Helper()
	file := filepath.Join(v.t.TempDir(), "out")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		v.t.Fatal(err)
	}
	v.run(0, "attest", "--build", "project/"+build, "--output", "out="+file)
}

func (v *volunteer) enrol(args ...string) *api.Enrolment {
	v.t.Helper()
	text, _ := v.run(0, append([]string{"enrol", "--json"}, args...)...)
	return decode[api.Enrolment](v.t, text)
}

func (v *volunteer) status() *spool.Status {
	v.t.Helper()
	text, _ := v.run(0, "status", "--json")
	return decode[spool.Status](v.t, text)
}

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return &value
}

// admin runs a command of the aggregator's operator.
func (s *server) admin(t *testing.T, words string, args ...string) string {
	t.Helper()
	text, err := s.Command(t.Context(), words, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verdict(t *testing.T, s *server, build, want string, operators int) *dashboard.Output {
	t.Helper()
	indexed(t, s.URL)
	o := getOutput(t, s.URL, "project/"+build+"^out")
	if string(o.Verdict) != want || int(o.Operators) != operators {
		t.Errorf("%s is %s by %d operators, want %s by %d", build, o.Verdict, o.Operators, want, operators)
	}
	return o
}

// TestJoining goes the way of volunteers who come to an aggregator that does not
// know them, with the real programs.
func TestJoining(t *testing.T) {
	t.Parallel()
	s := startAggregator(t, "--origin", "joining.example/ledger", "--libp2p", "/ip4/127.0.0.1/tcp/0")
	alice := newVolunteer(t, s.URL, "alice")
	bob := newVolunteer(t, s.address(t, "/tcp/"), "bob") // over libp2p

	// What is recorded before anybody knows the builder is held, and says what to do.
	alice.attest("hello", "hello")
	_, said := alice.run(1, "run", "--once")
	if !strings.Contains(said, "repronet-reporter enrol") {
		t.Errorf("held statements are explained by: %s", said)
	}
	for _, v := range []*volunteer{alice, bob} {
		v.attest("hello", "hello")
		if answer := v.enrol("--contact", "me@example.org"); answer.State != api.Pending {
			t.Errorf("asking is answered with %+v", answer)
		}
	}
	pending := *decode[[]struct{ Builder, Operator, Contact string }](t, s.admin(t, "builders pending --json"))
	if len(pending) != 2 || pending[0].Operator != "alice" || pending[1].Operator != "bob" || pending[1].Contact != "me@example.org" {
		t.Errorf("pending: %+v", pending)
	}
	for _, p := range pending {
		s.admin(t, "builders approve", p.Builder)
	}
	for _, v := range []*volunteer{alice, bob} {
		if answer := v.enrol("--wait"); answer.State != api.Enrolled || answer.Tier != "counted" {
			t.Errorf("after the approval asking is answered with %+v", answer)
		}
		v.run(0, "run", "--once")
	}
	verdict(t, s, "hello", "reproduced", 2)
	if strings.Contains(s.admin(t, "builders list --json"), "example.org") {
		t.Error("the list of builders has a person's address")
	}

	t.Run("erased", func(t *testing.T) { eraseRequest(t, s) })
	t.Run("rejected", func(t *testing.T) {
		carol := newVolunteer(t, s.URL, "carol")
		carol.enrol()
		var builder string
		for _, p := range *decode[[]struct{ Builder string }](t, s.admin(t, "builders pending --json")) {
			builder = p.Builder
		}
		s.admin(t, "builders reject", builder, "--reason", "write to us first")
		if _, said := carol.run(1, "enrol"); !strings.Contains(said, "write to us first") {
			t.Errorf("who is rejected is told: %s", said)
		}
	})
	t.Run("rotate", func(t *testing.T) { rotate(t, s, &volunteer{t, alice.dir}) })
	t.Run("withdraw", func(t *testing.T) {
		alice, bob := &volunteer{t, alice.dir}, &volunteer{t, bob.dir}
		alice.attest("bad", "broken")
		alice.run(0, "run", "--once")
		verdict(t, s, "bad", "single", 1)
		if out, _ := alice.run(0, "withdraw", "project/bad^out", "--reason", "bad disk"); !strings.Contains(out, "project/bad^out") {
			t.Errorf("withdrawn: %s", out)
		}
		alice.run(0, "run", "--once")
		o := verdict(t, s, "bad", "unbuilt", 0)
		if c := o.Claims[0]; c.Counts || c.Status != "withdrawn" {
			t.Errorf("the claim is %+v", c)
		}
		alice.run(1, "withdraw", "project/bad^out", "--reason", "again")
		bob.run(1, "withdraw", "--statement", "0", "--reason", "not a statement")
	})
}

// eraseRequest deletes what somebody said of themselves, which decides nothing.
func eraseRequest(t *testing.T, s *server) {
	builder := (*decode[[]api.RosterBuilder](t, s.admin(t, "builders list --json")))[0]
	attachment := s.URL + api.LogPath + "/attachments/sha256/" + builder.Endorsement
	text, err := fetch(t.Context(), attachment)
	if err != nil {
		t.Fatal(err)
	}
	if bundle := decode[request.Document](t, string(text)).Request; !strings.Contains(string(bundle), "dsseEnvelope") {
		t.Errorf("the endorsement is %s", text)
	}
	s.admin(t, "erase", builder.Endorsement, "--reason", "asked for by the person", "--yes")
	if text, err := fetch(t.Context(), attachment); err == nil {
		t.Errorf("still served: %s", text)
	}
	verdict(t, s, "hello", "reproduced", 2)
}

// rotate has a volunteer change keys while a reporter runs and statements wait.
func rotate(t *testing.T, s *server, v *volunteer) {
	before := v.enrol()
	v.attest("late", "late")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	v.run(75, "run", "--once") // signed by the old key, and not delivered
	v.run(75, "rotate")
	if err := s.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, _ := v.run(0, "rotate", "--json")
	after := decode[api.Enrolment](t, out)
	if after.State != api.Enrolled || after.Builder == before.Builder || after.Operator != before.Operator || after.Tier != before.Tier {
		t.Errorf("%+v became %+v", before, after)
	}
	v.attest("later", "later")
	v.run(0, "run", "--once")
	if status := v.status(); status.Outbox+status.Waiting+len(status.Refused) > 0 {
		t.Errorf("left after the rotation: %+v", status)
	}
	for build, builder := range map[string]string{"late": string(before.Builder), "later": string(after.Builder)} {
		if o := verdict(t, s, build, "single", 1); o.Claims[0].Builder != builder || !o.Claims[0].Counts {
			t.Errorf("%s is claimed by %+v, want builder %s", build, o.Claims, builder)
		}
	}

	// A reporter at work goes on with the new key.
	r := runForever(t, v)
	v.run(0, "rotate")
	v.attest("latest", "latest")
	waitUntil(t, "the running reporter delivers", func() bool { return v.status().Outbox+v.status().Waiting == 0 })
	r()
	verdict(t, s, "latest", "single", 1)

	// With --revoke the old key is at an end, and not what it said.
	out, _ = v.run(0, "rotate", "--revoke", "--json")
	newest := decode[api.Enrolment](t, out)
	v.attest("newest", "newest")
	v.run(0, "run", "--once")
	if o := verdict(t, s, "latest", "single", 1); !o.Claims[0].Counts {
		t.Errorf("what the old key said does not count any more: %+v", o.Claims[0])
	}
	verdict(t, s, "newest", "single", 1)
	if text := s.admin(t, "builders list --json"); strings.Count(text, "revokedFrom") != 1 || !strings.Contains(text, string(newest.Builder)) {
		t.Errorf("the builders: %s", text)
	}
	for _, b := range get[[]dashboard.Builder](t, s.URL, "/builders") {
		for _, flag := range b.Flags {
			if flag == "gap" || flag == "fork" {
				t.Errorf("builder %s has the flag %s after a rotation", b.ID, flag)
			}
		}
	}
}

// runForever runs the reporter until the function returned is called.
func runForever(t *testing.T, v *volunteer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, programs().Reporter(), "run", "--interval", "200ms", "--dir", v.dir)
	command.Stderr = messages(t, "the reporter")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		cancel()
		_ = command.Wait() // it was interrupted
	}
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 300 {
		if done() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("in vain: %s", what)
}

// TestJoiningByIdentity has somebody come with an identity that the aggregator
// admits: at once in the picture, and without weight until somebody vouches.
func TestJoiningByIdentity(t *testing.T) {
	t.Parallel()
	deployment := sigstoretest.New(t)
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := startAggregator(t, "--origin", "identity.example/ledger", "--config", write("config.yaml", []byte(`
admit:
  trusted_root: `+write("trusted_root.json", deployment.TrustedRoot(t))+`
  identities:
    - issuer: https://accounts.example.com
      subject: ^[a-z]+@example\.com$
`)))
	alice := newVolunteer(t, s.URL, "alice")
	alice.enrol()
	s.admin(t, "builders approve", (*decode[[]struct{ Builder string }](t, s.admin(t, "builders pending --json")))[0].Builder)
	alice.attest("hello", "hello")
	alice.run(0, "run", "--once")

	carol := newVolunteer(t, s.URL, "carol")
	payload, _ := carol.run(0, "enrol", "--statement")
	who := signing.Identity{Issuer: "https://accounts.example.com", Subject: "carol@example.com"}
	bundle := write("identity.json", deployment.Sign(t, who, []byte(payload), sigstoretest.Job{}))
	answer := carol.enrol("--identity", bundle)
	if answer.State != api.Enrolled || answer.Tier != "open" || strings.Contains(answer.Operator, "carol") {
		t.Fatalf("answered %+v", answer)
	}
	carol.attest("hello", "something else")
	carol.run(0, "run", "--once")
	o := verdict(t, s, "hello", "single", 1)
	if len(o.Claims) != 2 || o.Claims[1].Status != "open" || o.Digests != 1 {
		t.Errorf("claims %+v", o.Claims)
	}
	s.admin(t, "builders vouch", string(answer.Builder))
	verdict(t, s, "hello", "diverged", 2)
	if again := carol.enrol(); again.Tier != "counted" || again.Operator != answer.Operator {
		t.Errorf("answered %+v", again)
	}
	// Whose identity it is stands in the attachment, and nowhere else.
	for index, entry := range entriesOf(t, s) {
		if strings.Contains(string(entry.Body), "carol@example.com") {
			t.Errorf("ledger entry %d names a person", index)
		}
	}
}

func entriesOf(t *testing.T, s *server) []*ledger.Entry {
	t.Helper()
	entries, _ := readLedger(t, s.URL, indexed(t, s.URL).LedgerSize)
	return entries
}
