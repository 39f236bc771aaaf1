package aggregator

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	web "repronet.dev/aggregator/http"
	"repronet.dev/attestation"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/ledger"
	"repronet.dev/signing"
	"repronet.dev/signing/sigstore/sigstoretest"
	"repronet.dev/verify"
)

var ciJob = signing.Identity{
	Issuer:     "https://token.actions.example.org",
	Subject:    "https://github.com/org/repo/.github/workflows/rebuild.yml@refs/heads/main",
	Repository: "https://github.com/org/repo",
}

func (w *world) enrolJob(deployment *sigstoretest.Sigstore, rule signing.IdentityRule, operator string) signing.BuilderID {
	w.t.Helper()
	root := must(w.Attach(w.t.Context(), bytes.NewReader(deployment.TrustedRoot(w.t))))
	e := &enrolment.Enrolment{
		Builder: enrolment.KeylessBuilder(rule), Keyless: &enrolment.Keyless{Rule: rule, TrustedRoot: root},
		Operator: operator, Tier: enrolment.Counted,
	}
	if _, err := w.Enrol(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	return e.Builder
}

// job returns a bundle in which a job claims output n.
func (w *world) job(deployment *sigstoretest.Sigstore, who signing.Identity, n int, variant byte) []byte {
	w.t.Helper()
	s := &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{{Name: outputName(n), Digest: attestation.Digest{1, variant, byte(n), byte(n >> 8)}}},
		Builds:   []attestation.Build{{Name: outputName(n) + ".drv", Outputs: []int{0}, Finished: time.Now(), Occasion: attestation.OccasionBuild}},
	}
	return deployment.Sign(w.t, who, must(s.Encode()), sigstoretest.Job{})
}

func (w *world) get(path string) string {
	w.t.Helper()
	request := must(http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil))
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	return string(must(io.ReadAll(response.Body)))
}

func (w *world) evidenceOn(m *verify.Mirror, pins *verify.Pins, n int) *verify.Evidence {
	w.t.Helper()
	w.update(m)
	return must(m.Evidence(w.t.Context(), pins, "nix", outputName(n)))
}

// TestKeylessBuilders: what jobs sign counts for their operator, once beside the
// operator's key, from the way in to the verdict of somebody else.
func TestKeylessBuilders(t *testing.T) {
	w := newWorld(t, nil)
	deployment, other := sigstoretest.New(t), sigstoretest.New(t)
	alice := w.enrol("alice")
	rule := signing.IdentityRule(ciJob)
	job := w.enrolJob(deployment, rule, "alice")

	submit := func(bundle []byte) (uint64, bool) {
		t.Helper()
		index, duplicate, problem := w.ingest.Submit(t.Context(), bundle)
		if problem != nil {
			t.Fatal(problem)
		}
		return index, duplicate
	}
	refuse := func(bundle []byte, kind, says string) {
		t.Helper()
		size := w.log.Size()
		_, _, err := w.ingest.Submit(t.Context(), bundle)
		if err == nil {
			t.Errorf("accepted, want %s with %q", kind, says)
			return
		}
		problem := web.ProblemOf(err)
		if !strings.HasSuffix(problem.Type, kind) || !strings.Contains(problem.Detail, says) || w.log.Size() != size {
			t.Errorf("got %v, want %s with %q", problem, kind, says)
		}
	}
	// One operator with two builders counts once.
	w.attest(alice, 0, 1, 1)
	bundle := w.job(deployment, ciJob, 0, 1)
	first, _ := submit(bundle)
	if again, duplicate := submit(bundle); !duplicate || again != first {
		t.Errorf("the same bundle again is entry %d, %v", again, duplicate)
	}
	lookalike := ciJob
	lookalike.Subject = strings.Replace(ciJob.Subject, "/repo/", "/repo.evil/", 1)
	refuse(w.job(deployment, lookalike, 0, 2), "not-enrolled", "repo.evil")
	fork := ciJob
	fork.Repository = "https://github.com/evil/repo"
	refuse(w.job(deployment, fork, 0, 2), "not-enrolled", "")
	issuer := ciJob
	issuer.Issuer = "https://token.actions.evil.example"
	refuse(w.job(deployment, issuer, 0, 2), "not-enrolled", "evil.example")
	refuse(w.job(other, ciJob, 0, 2), "bad-signature", "")

	w.settle()
	m := w.mirror()
	aggregator := must(verify.Dial(w.url))
	pin := func() *verify.Pins {
		t.Helper()
		list := must(aggregator.BuilderList(t.Context(), w.verifier()))
		w.update(m)
		if err := m.CheckBuilders(t.Context(), list, 0); err != nil {
			t.Error(err)
		}
		return &verify.Pins{Builders: must(aggregator.Builders(t.Context(), list))}
	}
	pins := pin()
	evidence := w.evidenceOn(m, pins, 0)
	if evidence.Judgement.Verdict != divergence.Single || len(evidence.Claims) != 2 || evidence.Claims[1].Builder != job {
		t.Errorf("two builders of one operator: %+v", evidence)
	}

	for _, path := range []string{"/api/v1/builders/", "/builders/"} {
		if body := w.get(path + string(job)); !strings.Contains(body, ciJob.Subject) {
			t.Errorf("%s does not name the identity: %s", path, body)
		}
	}

	// A pattern for another branch, of another operator: the exact rule is first.
	branches := rule
	branches.Subject = `^https://github\.com/org/repo/\.github/workflows/rebuild\.yml@refs/heads/[a-z]+$`
	second := w.enrolJob(deployment, branches, "ci")
	branch := ciJob
	branch.Subject = strings.Replace(ciJob.Subject, "/main", "/next", 1)
	submit(w.job(deployment, branch, 0, 1))
	submit(w.job(deployment, ciJob, 1, 1))
	submit(w.job(deployment, branch, 1, 2))
	// What a server finds at the end of its ledger when it starts is known too.
	tail := w.job(deployment, branch, 4, 1)
	index := w.append(ledger.Attestation, tail)
	if err := w.known(t.Context(), nil, index, &ledger.Entry{Kind: ledger.Attestation, Body: tail}); err != nil {
		t.Fatal(err)
	}
	if again, duplicate := submit(tail); !duplicate || again != index {
		t.Errorf("a bundle of the ledger's end is entry %d, %v", again, duplicate)
	}
	w.settle()
	pins = pin()
	if evidence := w.evidenceOn(m, pins, 0); evidence.Judgement.Verdict != divergence.Reproduced || evidence.Claims[2].Builder != second {
		t.Errorf("two operators: %+v", evidence)
	}
	if evidence := w.evidenceOn(m, pins, 1); evidence.Judgement.Verdict != divergence.Diverged || evidence.Claims[0].Builder != job {
		t.Errorf("two operators disagree: %+v", evidence)
	}

	// Pins with another trusted root take nothing for granted.
	older := *pins
	older.Builders = slices.Clone(pins.Builders)
	for i, b := range older.Builders {
		if b.ID == second {
			older.Builders[i].Keyless = &verify.Keyless{IdentityRule: branches, TrustedRoot: other.TrustedRoot(t)}
		}
	}
	if evidence := w.evidenceOn(m, &older, 1); evidence.Judgement.Verdict != divergence.Single || evidence.Claims[1].Standing != verify.NotValid {
		t.Errorf("under another trusted root: %+v", evidence)
	}
	// And without the rule, the statement is a stranger's.
	older.Builders = slices.DeleteFunc(older.Builders, func(b verify.Builder) bool { return b.ID == second })
	if evidence := w.evidenceOn(m, &older, 1); evidence.Judgement.Verdict != divergence.Single || len(evidence.Claims) != 1 {
		t.Errorf("without the rule: %+v", evidence)
	}

	// Once the first is revoked, the identity is the second's.
	if _, err := w.Revoke(t.Context(), job, nil, "moved"); err != nil {
		t.Fatal(err)
	}
	submit(w.job(deployment, ciJob, 2, 1))
	if _, err := w.Revoke(t.Context(), second, nil, "moved"); err != nil {
		t.Fatal(err)
	}
	refuse(w.job(deployment, ciJob, 3, 1), "key-not-valid", "was revoked")
	w.settle()
	w.update(m)
	if err := w.compare(m); err != nil {
		t.Errorf("replay: %v", err)
	}
	if got := w.replay(m).Totals; got.Attestations != 7 {
		t.Errorf("replay counts %d attestations, want 7", got.Attestations)
	}
}
