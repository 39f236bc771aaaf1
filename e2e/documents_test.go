package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/aggregator/notify/notifytest"
	"repronet.dev/dashboard"
	"repronet.dev/e2e/network"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/evidence/openpgp/openpgptest"
	"repronet.dev/ledger"
	"repronet.dev/signing/signingtest"
	"repronet.dev/signing/sigstore/sigstoretest"
)

// helloHash names the store path that is written /nix/store/…-hello-2.12.1.
const helloHash = "0c7q8xqnp0zbgwp3jlirznfdlp2xrmds"

const (
	helloPath = "/nix/store/" + helloHash + "-hello-2.12.1"
	helloDrv  = "/nix/store/1c7q8xqnp0zbgwp3jlirznfdlp2xrmds-hello-2.12.1.drv"
)

// documents is the world in which the documents' commands are run: an aggregator, two
// builders who have reported hello, and a person, alice, who follows the documents.
type documents struct {
	t      *testing.T
	server *server
	shell  *shell
	store  string // root of a Nix store with hello's derivation
	names  map[string]string

	// sigstore is the deployment that certifies identities, as the configuration admits
	// them that docs/operators.md prints.
	sigstore *sigstoretest.Sigstore

	attested int // how often alice attested hello

	friends map[string]string // directories of the reporters of those whom alice knows, by operator
}

func newDocuments(t *testing.T) *documents {
	t.Helper()
	d := &documents{t: t, store: t.TempDir(), names: map[string]string{}, friends: map[string]string{}, sigstore: sigstoretest.New(t)}
	config, root := filepath.Join(t.TempDir(), "config.yaml"), filepath.Join(t.TempDir(), "trusted_root.json")
	d.write(root, string(d.sigstore.TrustedRoot(t)))
	sink := notifytest.NewSink(t, notifytest.Config{})
	d.write(config, strings.Replace(blockOfDocument(t, "docs/operators.md", "admit:"), "/etc/repronet/trusted_root.json", root, 1)+
		strings.NewReplacer("mail.example.org", fmt.Sprintf("%s\n    port: %d\n    encryption: none", sink.Host, sink.Port),
			"    user: repronet\n    password_file: /etc/repronet/smtp.password\n", "").Replace(blockOfDocument(t, "docs/operators.md", "notify:"))+
		"url: http://localhost\n")
	d.server = startAggregator(t, "--config", config)
	d.freshHome()
	derivation := fmt.Sprintf(`Derive([("out","%s","","")],[],[],"x86_64-linux","/bin/sh",[],[("out","%[1]s")])`, helloPath)
	d.write(filepath.Join(d.store, helloDrv), derivation)
	d.write(filepath.Join(d.store, helloPath), "hello\n")
	for _, operator := range []string{"bob", "carol"} {
		r, err := network.NewReporter(t.Context(), d.server.Aggregator, t.TempDir(), operator, d.server.URL, "--report", "all")
		if err != nil {
			t.Fatal(err)
		}
		d.report(r.Dir)
		d.friends[operator] = r.Dir
	}
	indexed(t, d.server.URL)
	d.names["KEY"] = "'" + logKeyText(t, d.server.URL) + "'"
	return d
}

// buildDebianHello writes what a build of Debian's hello leaves beside its source.
func (d *documents) buildDebianHello() {
	d.t.Helper()
	beside := filepath.Dir(d.shell.dir)
	sum := func(name, text string) string {
		d.write(filepath.Join(beside, name), text)
		return fmt.Sprintf("Checksums-Sha256:\n %x %d %s\n", sha256.Sum256([]byte(text)), len(text), name)
	}
	deb := sum("hello_2.10-3_amd64.deb", "the package\n")
	buildinfo := sum("hello_2.10-3_amd64.buildinfo", "Source: hello\nVersion: 2.10-3\nBuild-Date: "+time.Now().Format(time.RFC1123Z)+"\n"+deb)
	d.write(filepath.Join(beside, "hello_2.10-3_amd64.changes"), "Source: hello\n"+buildinfo)
}

// instantiateHello puts a derivation that can be built into alice's Nix store.
func (d *documents) instantiateHello() {
	d.t.Helper()
	tools := filepath.Join(d.t.TempDir(), "tools")
	if err := network.PrepareTools(tools); err != nil {
		d.t.Fatal(err)
	}
	set := filepath.Join(d.t.TempDir(), "default.nix")
	d.write(set, `{ tools }: { hello = derivation {
  name = "hello-2.12.1"; system = builtins.currentSystem; builder = "${builtins.path { name = "tools"; path = tools; }}/busybox";
  args = [ "sh" "-c" "echo hello > $out" ];
}; }`)
	if _, err := (&network.NixStore{Root: d.store, Set: set, Tools: tools}).EvalJobs(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.shell.env = append(d.shell.env, "NIX_CONFIG=build-users-group =\nsubstituters =\n")
}

// freshHome gives alice another machine, which has the aggregator's data as well. Its
// reporter is where it is for a user, though the tests are root.
func (d *documents) freshHome() {
	d.shell = newShell(d.t, "NIX_REMOTE=local?root="+d.store)
	d.shell.machine = newMachine(d.t, d.server.Data)
	d.shell.env = append(d.shell.env, "REPRONET_REPORTER_DIR="+d.home())
	d.write(filepath.Join(d.shell.dir, "closure.txt"), helloPath+"\n")
}

// home is the directory of alice's reporter.
func (d *documents) home() string {
	return filepath.Join(d.shell.dir, ".local", "state", "repronet-reporter")
}

// report has an installation report a build of hello.
func (d *documents) report(dir string) {
	d.t.Helper()
	line := fmt.Sprintf("repronet-reporter attest --dir %[1]s --ecosystem nix --build %s --output out=%s && repronet-reporter run --once --dir %[1]s",
		dir, helloDrv, filepath.Join(d.store, helloPath))
	r := d.shell.run(d.t, line)
	if r.status != 0 {
		d.t.Fatalf("reporting hello: %s", r.said())
	}
	if !strings.HasPrefix(r.stdout[strings.IndexByte(r.stdout, '\n')+1:], "1 statements acknowledged") {
		text, err := fetch(d.t.Context(), d.server.URL+"/api/v1/sets")
		d.t.Errorf("hello was not reported: %s\n%s (%v)", r.said(), text, err)
	}
}

// run runs a command as the document has it.
func (d *documents) run(c *documented) {
	d.t.Helper()
	if c.before != nil {
		c.before(d)
	}
	line := strings.NewReplacer("https://repro.example.org", d.server.URL, "/nix/store/…-hello-2.12.1", helloPath).Replace(c.line)
	line = strings.NewReplacer(c.replace...).Replace(line)
	for name, value := range d.names {
		line = strings.ReplaceAll(line, "$"+name, value)
		if name == "BUILDER" || name == "OPERATOR" {
			line = strings.ReplaceAll(line, name, value)
		}
	}
	usual := d.shell
	on := *usual
	d.shell = &on
	on.terminal, on.alone = c.asks, c.alone
	if c.fresh {
		on.machine = newMachine(d.t, "")
	}
	var r *ran
	switch c.until {
	case "":
		r = d.shell.run(d.t, line)
	case "-": // it says nothing when it begins
		r = d.shell.runUntil(d.t, "sh -c '(sleep 5; echo begun) & exec "+line+"'", "begun")
	default:
		r = d.shell.runUntil(d.t, line, c.until)
	}
	d.shell = usual
	if r.status != c.status || !regexp.MustCompile(c.says).MatchString(r.said()) || !strings.Contains(r.said(), strings.Trim(c.until, "-")) {
		d.t.Errorf("%s: %s\nas %s\nends with status %d, want %d, and says, where %q%q is wanted:\n%s", c.in, c.line, line, r.status, c.status, c.says, c.until, r.said())
	}
	indexedIfServed(d)
}

func indexedIfServed(d *documents) {
	select {
	case <-d.server.Ended():
	default:
		indexed(d.t, d.server.URL)
	}
}

func (d *documents) write(file, text string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	write(d.t, file, text)
}

// command runs an administrative command.
func (d *documents) command(words string, args ...string) string {
	d.t.Helper()
	out, err := d.server.Command(d.t.Context(), words, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *documents) writeMakefile() {
	d.write(filepath.Join(d.shell.dir, "Makefile"), "tool:\n\techo made > tool\nhello:\n\techo hello > hello\n")
}

// pinFriends has alice pin those whom she knows, on the machine that she has now.
func (d *documents) pinFriends() {
	d.t.Helper()
	lines := []string{"repronet-verify pin --aggregator " + d.server.URL + " --log-key " + d.names["KEY"]}
	for operator, dir := range d.friends {
		lines = append(lines, "repronet-verify pin --operator "+operator+" --builder "+filepath.Join(dir, "builder.pub"))
	}
	for _, line := range lines {
		if r := d.shell.run(d.t, line); r.status != 0 {
			d.t.Fatalf("%s: %s", line, r.said())
		}
	}
}

func (d *documents) writePolicy() {
	d.write(filepath.Join(d.shell.dir, "policy.yaml"), "sections:\n- name: everything\n  quorum: 2\n")
}

// status is what the installation says of itself.
func (d *documents) builder() string {
	d.t.Helper()
	var status struct{ Builder string }
	r := d.shell.run(d.t, "repronet-reporter status --json")
	if err := json.Unmarshal([]byte(r.stdout), &status); err != nil || status.Builder == "" {
		d.t.Fatalf("status: %s", r.said())
	}
	return status.Builder
}

func (d *documents) nameAlice() { d.names["BUILDER"] = d.builder() }

// nameSubscription names the subscription that was added last.
func (d *documents) nameSubscription() {
	d.t.Helper()
	var list []struct{ ID string }
	text, err := d.server.Command(d.t.Context(), "subscriptions list", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &list)
	}
	if err != nil || len(list) == 0 {
		d.t.Fatalf("subscriptions: %s, %v", text, err)
	}
	d.names["SUBSCRIPTION"] = list[len(list)-1].ID
}

func (d *documents) writeKey() {
	d.write(filepath.Join(d.shell.dir, "alice.pem"), string(signingtest.New(d.t).Public().PEM()))
}

func (d *documents) writeTrustedRoot() {
	d.write(filepath.Join(d.shell.dir, "trusted_root.json"), string(d.sigstore.TrustedRoot(d.t)))
}

// writeEvaluations writes what nix-eval-jobs prints before and after a change that adds a
// package.
func (d *documents) writeEvaluations() {
	d.writeJobs()
	text, err := os.ReadFile(filepath.Join(d.shell.dir, "jobs.jsonl"))
	if err != nil {
		d.t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "\n")
	d.write(filepath.Join(d.shell.dir, "base.jsonl"), before+"\n")
	d.write(filepath.Join(d.shell.dir, "head.jsonl"), string(text))
}

// publishEvaluations publishes both as package sets.
func (d *documents) publishEvaluations() {
	for set, file := range map[string]string{"stable": "base.jsonl", "testing": "head.jsonl"} {
		d.command("sets publish", "--revision", "1", "--from", filepath.Join(d.shell.dir, file), set)
	}
	readLedger(d.t, d.server.URL, indexed(d.t, d.server.URL).LedgerSize) // published
}

// writeJobs writes what nix-eval-jobs prints of two packages.
func (d *documents) writeJobs() {
	job := func(attribute, drv, out string) string {
		return fmt.Sprintf(`{"attr":%q,"attrPath":[%[1]q],"drvPath":%q,"name":%[1]q,"system":"x86_64-linux","outputs":{"out":%[3]q},"inputDrvs":{},"meta":{"maintainers":[]}}`, attribute, drv, out) + "\n"
	}
	d.write(filepath.Join(d.shell.dir, "jobs.jsonl"), job("hello", helloDrv, helloPath)+
		job("zsh", strings.Replace(helloDrv, "hello-2.12.1", "zsh-5.9", 1), strings.Replace(helloPath, "hello-2.12.1", "zsh-5.9", 1)))
}

// writeSigs writes a repository of signed checksums by one person.
func (d *documents) writeSigs() {
	at := time.Now().Add(-time.Hour)
	dave := openpgptest.NewPerson(d.t, "dave", at)
	dir := filepath.Join(d.shell.dir, "guix.sigs")
	sums := strings.Repeat("ab", 32) + "  bitcoin-27.0.tar.gz\n"
	d.write(filepath.Join(dir, "builder-keys", "dave.gpg"), string(dave.Bytes()))
	d.write(filepath.Join(dir, "27.0", "dave", "all.SHA256SUMS"), sums)
	d.write(filepath.Join(dir, "27.0", "dave", "all.SHA256SUMS.asc"), string(dave.Detached(sums, at)))
	d.names["DAVE"] = dave.Sum().Hex()
}

// writeGitian writes a repository of Gitian assertions, with some that are of no use.
func (d *documents) writeGitian() {
	made := guixsigstest.MakeGitian(d.t, time.Now().Add(-time.Hour))
	if err := os.Rename(made.Dir, filepath.Join(d.shell.dir, "gitian.sigs")); err != nil {
		d.t.Fatal(err)
	}
	d.command("builders import-openpgp", "--project", "bitcoin-core", filepath.Join(d.shell.dir, "gitian.sigs"))
}

// serveCache serves a binary cache with hello, whose key is enrolled.
func (d *documents) serveCache() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	text := fmt.Sprintf("StorePath: %s\nURL: nar/x.nar\nNarHash: sha256:%064x\nNarSize: 100\nReferences: \n", helloPath, 7)
	info, err := narinfo.Parse([]byte(text))
	if err != nil {
		d.t.Fatal(err)
	}
	text += "Sig: cache-1:" + base64.StdEncoding.EncodeToString(ed25519.Sign(private, info.Fingerprint())) + "\n"
	cache := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+helloHash+".narinfo" {
			_, _ = w.Write([]byte(text))
			return
		}
		http.NotFound(w, r)
	}))
	d.t.Cleanup(cache.Close)
	d.command("builders enrol", "--operator", "a-cache", "--nix-key", "cache-1:"+base64.StdEncoding.EncodeToString(public))
	d.names["CACHE"] = cache.URL
}

func (d *documents) stop() {
	if err := d.server.Stop(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *documents) copyLedger() {
	if r := d.shell.run(d.t, "cp -r "+filepath.Join(d.server.Data, "ledger")+" copy"); r.status != 0 {
		d.t.Fatal(r.said())
	}
}

// forkLog has a log that signed two histories, with its key and what convicts it beside
// the source of this project.
func (d *documents) forkLog() {
	d.shell = newClone(d.t)
	secret, public, err := note.GenerateKey(rand.Reader, "lied.example.org")
	if err != nil {
		d.t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		d.t.Fatal(err)
	}
	checkpoint := func(entry string) string {
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("lied.example.org\n1\n%s\n", tlog.RecordHash([]byte(entry)))}, signer)
		if err != nil {
			d.t.Fatal(err)
		}
		return string(signed)
	}
	lied := ledger.Conviction{Fork: &ledger.Fork{Old: checkpoint("one"), New: checkpoint("other"), Root: tlog.RecordHash([]byte("other"))}}
	text, err := json.Marshal(lied)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write(filepath.Join(d.shell.dir, "log.key.pub"), public)
	d.write(filepath.Join(d.shell.dir, "conviction.json"), string(text))
}

// restart starts the server again, for a person on another machine.
func (d *documents) restart() {
	if err := d.server.restart(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.freshHome()
}

func (d *documents) installHook() {
	if r := d.shell.run(d.t, "repronet-reporter hook install"); r.status != 0 {
		d.t.Fatal(r.said())
	}
}

// attestHello has alice report hello.
func (d *documents) attestHello() {
	d.report(d.home())
	indexed(d.t, d.server.URL)
}

// attestAgain has alice report hello once more, and names the statement.
func (d *documents) attestAgain() {
	if r := d.shell.run(d.t, "repronet-reporter run --once"); r.status != 0 {
		d.t.Fatal(r.said())
	}
	d.attested++
	d.write(filepath.Join(d.store, helloPath), fmt.Sprintf("hello, %d\n", d.attested))
	d.attestHello()
	builder := d.builder()
	for _, c := range get[*dashboard.Output](d.t, d.server.URL, "/outputs?name="+helloPath).Claims {
		if c.Builder == builder {
			d.names["STATEMENT"] = fmt.Sprint(c.Index)
		}
	}
}

// withdrawFormer has a key that is not in use any more take back what it said.
func (d *documents) withdrawFormer() {
	const reason = "of the former key"
	r := d.shell.run(d.t, "repronet-reporter withdraw --statement "+d.names["STATEMENT"]+" --reason '"+reason+"' --json")
	if r.status != 0 || !strings.Contains(r.stdout, helloPath) {
		d.t.Fatalf("withdrawing what a former key said: %s", r.said())
	}
	indexed(d.t, d.server.URL)
	for _, c := range get[*dashboard.Output](d.t, d.server.URL, "/outputs?name="+helloPath).Claims {
		if fmt.Sprint(c.Index) == d.names["STATEMENT"] && (c.Status != "withdrawn" || c.Reason != reason || c.By == nil) {
			d.t.Errorf("the claim of the former key is %+v", c)
		}
	}
}

func logKeyText(t *testing.T, base string) string {
	t.Helper()
	text, err := fetch(t.Context(), base+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
