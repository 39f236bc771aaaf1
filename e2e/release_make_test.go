package e2e

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/e2e/answers"
	"repronet.dev/e2e/network"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore/sigstoretest"
)

// makeReleaseEnv names the file that [TestMakeRelease] writes.
const makeReleaseEnv = "REPRONET_MAKE_RELEASE"

// TestMakeRelease has the programs of a release write what later releases must read:
// an aggregator's data directory with every kind of entry, a reporter's home with
// records in every state, a checker's pins and mirror, and what the release says
// follows from all that. `make release-data` calls it, once for each release; nothing
// that it wrote is ever changed.
func TestMakeRelease(t *testing.T) {
	file := os.Getenv(makeReleaseEnv)
	if file == "" {
		t.Skip("writes test data, where " + makeReleaseEnv + " says")
	}
	m := &releaseMaker{t: t, home: t.TempDir()}
	config := filepath.Join(t.TempDir(), "aggregator.yaml")
	write(t, config, "map_interval: 2s\n")
	m.s = startAggregator(t, "--origin", "release.example/ledger", "--config", config)
	m.volunteers()
	m.sets()
	m.check()
	m.thirdParties()
	m.keyless()
	m.endings()
	erin := m.leave()
	expected, err := answers.Read(t.Context(), programs(), m.s.Data, answers.Options{Map: true, Log: messages(t, "the programs")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(expected, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(m.home, "expected.json"), string(text))
	for from, to := range map[string]string{m.s.Data: "aggregator", erin.dir: "reporter"} {
		if err := os.CopyFS(filepath.Join(m.home, to), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := pack(m.home, file); err != nil {
		t.Fatal(err)
	}
}

type releaseMaker struct {
	t    *testing.T
	s    *server
	home string // what is packed in the end
}

// join has a volunteer ask, and be accepted.
func (m *releaseMaker) join(operator string) *volunteer {
	m.t.Helper()
	v := newVolunteer(m.t, m.s.URL, operator)
	v.enrol()
	for _, p := range *decode[[]struct{ Builder string }](m.t, m.s.admin(m.t, "builders pending --json")) {
		m.s.admin(m.t, "builders approve", p.Builder)
	}
	return v
}

// volunteers claim, differ, fail, contradict themselves and take back.
func (m *releaseMaker) volunteers() {
	alice, bob, carol := m.join("alice"), m.join("bob"), m.join("carol")
	dave := newVolunteer(m.t, m.s.URL, "dave")
	m.s.admin(m.t, "builders enrol", "--operator", "dave", "--tier", "open", "--key", filepath.Join(dave.dir, "builder.pub"))
	for _, v := range []*volunteer{alice, bob, carol, dave} {
		v.attest("agreed", "agreed")
		v.attest("outlier", map[bool]string{true: "mine", false: "yours"}[v == carol])
		v.attest("scatter", v.dir)
	}
	alice.attest("alone", "alone")
	alice.attest("self", "one")
	alice.run(0, "run", "--once")
	alice.attest("self", "two")
	carol.attest("taken-back", "wrong")
	bob.attest("taken-back", "right")
	fails := (&network.Reporter{Programs: programs(), Dir: bob.dir}).Exec(m.t.Context(), "--build", "project/fails", "--output", "out=none", "--", "false")
	if err := fails.Run(); err == nil {
		m.t.Error("a build that fails did not")
	}
	for _, v := range []*volunteer{alice, bob, carol, dave} {
		v.run(0, "run", "--once")
	}
	indexed(m.t, m.s.URL) // what is withdrawn is looked up there
	carol.run(0, "withdraw", "project/taken-back^out", "--reason", "the disk was broken")
	carol.run(0, "run", "--once")
	newVolunteer(m.t, m.s.URL, "mallory").enrol() // and is never answered
}

// sets publishes two revisions of a list, and one with attributes.
func (m *releaseMaker) sets() {
	for revision, lines := range map[string]string{
		"1": "project/agreed^out\nproject/outlier^out\nproject/nobody^out\n",
		"2": "project/agreed^out\nproject/scatter^out\nproject/nobody^out\n",
	} {
		list := filepath.Join(m.t.TempDir(), "list")
		write(m.t, list, lines)
		m.s.admin(m.t, "sets publish", "--ecosystem", "generic", "--revision", revision, "--from", list, "some")
	}
	list := filepath.Join(m.t.TempDir(), "jobs")
	write(m.t, list, `{"attr":"demo.x86_64-linux","drvPath":"/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-1.0.drv","name":"demo-1.0","system":"x86_64-linux","outputs":{"out":"`+cachedPath+`"},"meta":{"maintainers":[{"github":"alice"}]}}`+"\n")
	m.s.admin(m.t, "sets publish", "--revision", "5b35d24", "--from", list, "channel")
}

// check pins the ledger as it is, and copies it. It grows afterwards.
func (m *releaseMaker) check() {
	pins, mirror := filepath.Join(m.home, "verify", "pins.json"), filepath.Join(m.home, "verify", "mirror")
	if err := os.MkdirAll(filepath.Dir(pins), 0o700); err != nil {
		m.t.Fatal(err)
	}
	indexed(m.t, m.s.URL)
	for _, args := range [][]string{{"pin", "--yes", "--aggregator", m.s.URL}, {"mirror", "--mirror", mirror}} {
		if out, err := exec.CommandContext(m.t.Context(), programs().Verify(), append(args, "--config", pins)...).CombinedOutput(); err != nil {
			m.t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// cachedPath is what a binary cache signs.
const cachedPath = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0"

// thirdParties brings signed narinfo, and a project's OpenPGP-signed checksums.
func (m *releaseMaker) thirdParties() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	text := "StorePath: " + cachedPath + "\nURL: nar/x.nar.xz\nCompression: xz\n" +
		"NarHash: sha256:0lxjvvpr59c2mdram7ympy5ay741f180kv3349hvfc3f8nrmbqf6\nNarSize: 464152\nReferences: \n"
	info, err := narinfo.Parse([]byte(text))
	if err != nil {
		m.t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	dir := m.t.TempDir()
	write(m.t, filepath.Join(dir, "demo.narinfo"), text+"Sig: cache-1:"+encode(ed25519.Sign(private, info.Fingerprint()))+"\n")
	write(m.t, filepath.Join(dir, "unknown.narinfo"), text+"Sig: other-1:"+encode(ed25519.Sign(private, info.Fingerprint()))+"\n")
	m.s.admin(m.t, "builders enrol", "--operator", "cache", "--nix-key", "cache-1:"+encode(public))
	relay(m.t, m.s, 0, "narinfo", dir)

	r := smallRepository(m.t)
	m.s.admin(m.t, "builders import-openpgp", "--project", "widget", r.dir)
	relay(m.t, m.s, 1, "guix-sigs", "--project", "widget", r.dir) // one was changed
	var builders []api.RosterBuilder
	if err := json.Unmarshal([]byte(m.s.admin(m.t, "builders list --json")), &builders); err != nil {
		m.t.Fatal(err)
	}
	for _, b := range builders {
		if b.Operator == "ada" {
			m.s.admin(m.t, "erase", "--reason", "asked for", "--yes", b.OpenPGP[0].Certificate)
		}
	}
}

// keyless has a job with an identity claim.
func (m *releaseMaker) keyless() {
	deployment := sigstoretest.New(m.t)
	root := filepath.Join(m.t.TempDir(), "trusted_root.json")
	write(m.t, root, string(deployment.TrustedRoot(m.t)))
	job := signing.Identity{Issuer: "https://token.actions.example.org", Subject: "https://example.org/org/repo/rebuild.yml@refs/heads/main"}
	m.s.admin(m.t, "builders enrol", "--operator", "org", "--trusted-root", root, "--sigstore-issuer", job.Issuer, "--sigstore-subject", job.Subject)
	statement := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{{Name: cachedPath, Digest: attestation.Digest{1}}},
		Builds: []attestation.Build{{
			Name: "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-demo-1.0.drv", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionRebuild,
		}},
	}
	payload, err := statement.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	bundle := deployment.Sign(m.t, job, payload, sigstoretest.Job{})
	response, err := http.Post(m.s.URL+api.SubmitPath, api.BundleType, bytes.NewReader(bundle))
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		m.t.Errorf("the job's statement is answered with %s", response.Status)
	}
}

// endings revokes a builder from now on, and one from the beginning; what the ledger
// comes to is committed to a map.
func (m *releaseMaker) endings() {
	last := m.join("frank")
	last.attest("agreed", "agreed")
	last.run(0, "run", "--once")
	for _, b := range *decode[[]api.RosterBuilder](m.t, m.s.admin(m.t, "builders list --json")) {
		switch b.Operator {
		case "frank":
			m.s.admin(m.t, "builders revoke", string(b.ID), "--reason", "key lost")
		case "dave":
			m.s.admin(m.t, "builders revoke", string(b.ID), "--from", "0", "--reason", "never was independent")
		}
	}
	size := indexed(m.t, m.s.URL).LedgerSize
	waitUntil(m.t, "the ledger commits to a map", func() bool {
		for _, e := range entriesOf(m.t, m.s)[size:] {
			if e.Kind == ledger.MapRoot {
				return true
			}
		}
		return false
	})
}

// leave stops the aggregator, and leaves a reporter with what was acknowledged, what
// was signed and not delivered, and what was only recorded.
func (m *releaseMaker) leave() *volunteer {
	erin := m.join("erin")
	erin.attest("agreed", "agreed")
	erin.attest("alone", "alone")
	erin.run(0, "run", "--once")
	if err := m.s.Stop(); err != nil {
		m.t.Fatal(err)
	}
	erin.attest("sealed", "sealed")
	erin.run(75, "run", "--once")
	erin.attest("spooled", "spooled")
	if status := erin.status(); status.Outbox != 1 || status.Waiting != 1 || status.Acknowledged.Statements == 0 {
		m.t.Errorf("the reporter is left with %+v", status)
	}
	return erin
}
