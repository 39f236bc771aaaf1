// Package docs_test holds the documents to the code.
package docs_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/enrolment"
	"repronet.dev/enrolment/request"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
	"repronet.dev/signing"
)

var update = flag.Bool("update", false, "rewrite the examples of formats.md, and the views of research.md")

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// examplePattern matches an example: its name in a comment, and a block of code.
var examplePattern = regexp.MustCompile("(?s)<!-- example: ([a-z-]+) -->\n```([a-z]*)\n(.*?)```\n")

// TestFormats compares the examples of formats.md with what the code makes.
func TestFormats(t *testing.T) {
	text, err := os.ReadFile("formats.md")
	if err != nil {
		t.Fatal(err)
	}
	want := examples(t)
	if *update {
		text = examplePattern.ReplaceAllFunc(text, func(block []byte) []byte {
			m := examplePattern.FindSubmatch(block)
			return fmt.Appendf(nil, "<!-- example: %s -->\n```%s\n%s```\n", m[1], m[2], want[string(m[1])])
		})
		if err := os.WriteFile("formats.md", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range examplePattern.FindAllSubmatch(text, -1) {
		name := string(m[1])
		if diff := cmp.Diff(string(m[3]), want[name]); diff != "" {
			t.Errorf("example %q is out of date (-document +code); run go test ./docs -update:\n%s", name, diff)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("formats.md has no example %q", name)
	}
}

// examples are made with keys whose seeds are all zeros and all ones, so that
// anybody can make them again.
func examples(t *testing.T) map[string]string {
	t.Helper()
	must := func(data []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signer, err := signing.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	id := signer.Public().Builder()
	payload := must(rebuild().Encode())
	bundle := compact(t, must(signer.SignPayload(t.Context(), payload)))
	enrolled := must((&enrolment.Enrolment{
		Builder: id, PublicKey: signer.Public().DER(), Operator: "alice", Tier: enrolment.Counted, NotAfter: at.AddDate(2, 0, 0),
	}).Encode())
	revoked := must((&enrolment.Revocation{Builder: id, From: 1204, Reason: "disk was copied"}).Encode())
	first := must((&ledger.Entry{Kind: ledger.Enrolment, ReceivedAt: at, Body: enrolled}).Encode())
	second := must((&ledger.Entry{Kind: ledger.Attestation, ReceivedAt: at.Add(time.Second), Body: bundle}).Encode())
	key, receipt := receiptOf(t, first, second)
	root, proof := mapOf(t, first, second)
	witness, cosigned := cosignedOf(t, key, receipt)
	const header = 1 + 1 + len("attestation") + 8
	return map[string]string{
		"statement":    indent(t, payload),
		"build-failed": indent(t, must(buildFailed().Encode())),
		"withdraw":     indent(t, must(withdraw().Encode())),
		"public-key":   string(signer.Public().PEM()),
		"builder":      fmt.Sprintln(id),
		"bundle":       indent(t, bundle),
		"output-id": fmt.Sprintf("$ printf 'nix\\0%s' | sha256sum | cut -c1-40\n%x\n", rebuild().Subjects[0].Name,
			attestation.NewOutputID("nix", rebuild().Subjects[0].Name)),
		"enrolment": indent(t, enrolled),
		"request": indent(t, must((&request.Request{
			Origin: "repro.example.org/log", PublicKey: signer.Public(), Operator: "alice", Contact: "alice@example.org", Created: at,
		}).Encode())),
		"keyless":    indent(t, must(keyless().Encode())),
		"revocation": indent(t, revoked),
		"rules":      indent(t, must(reading.Rules{Version: 2}.Encode())),
		"erased": indent(t, must((&enrolment.Erasure{
			Attachment: sha256.Sum256([]byte("a certificate")), Reason: "asked for by the person",
		}).Encode())),
		"entry-header": hex.EncodeToString(second[:header]) + "\n",
		"log-key":      key + "\n",
		"receipt":      indent(t, receipt),
		"map-root":     indent(t, root),
		"map-proof":    indent(t, proof),
		"witness-key":  witness + "\n",
		"cosigned":     cosigned,
		"notice":       indent(t, must(json.Marshal(notice()))),
	}
}

// notice is what a webhook gets.
func notice() *api.Notice {
	change := api.VerdictChange{
		Key: rebuild().Subjects[0].Name, Ecosystem: "nix", Build: rebuild().Builds[0].Name, Output: "out",
		Change: api.Change{Index: 1204, ReceivedAt: at, From: api.Single, To: api.Diverged},
		Kind:   api.ChangeRegressed, Attribute: "hello", Version: "2.12.1", System: "x86_64-linux",
		Was: "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-hello-2.12",
	}
	return &api.Notice{Type: api.NoticeChanges, Timestamp: at.Add(2 * time.Second), Data: api.NoticeData{
		Subscription: "fbkt35tispn45l2z", Set: "nixos-unstable", From: 1190, To: 1205, Changes: []api.VerdictChange{change},
		URL: "https://repro.example.org/divergences?set=nixos-unstable",
	}}
}

// receiptOf returns the log's verifier key and the receipt of the second of two
// entries.
func receiptOf(t *testing.T, first, second []byte) (key string, receipt []byte) {
	t.Helper()
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	key, err := note.NewEd25519VerifierKey("repro.example.org/log", ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(key, "+", 3)
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + secret)
	if err != nil {
		t.Fatal(err)
	}
	left, right := tlog.RecordHash(first), tlog.RecordHash(second)
	root := tlog.NodeHash(left, right)
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n2\n%s\n", parts[0], base64.StdEncoding.EncodeToString(root[:]))}, signer)
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Receipt{Index: 1, Entry: second, Proof: []tlog.Hash{left}, Checkpoint: string(checkpoint)}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(verifier); err != nil {
		t.Fatal(err)
	}
	receipt, err = json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return key, receipt
}

// mapOf returns the root of the map of two entries, and the proof of the first output.
func mapOf(t *testing.T, entries ...[]byte) (root, proof []byte) {
	t.Helper()
	sorter := outputmap.NewSorter(t.TempDir())
	defer sorter.Close()
	for i, data := range entries {
		entry, err := ledger.DecodeEntry(data)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := outputmap.Keys(0, entry)
		if err == nil {
			err = sorter.Add(uint64(i), keys...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := outputmap.Build(t.TempDir()+"/map", sorter.Pairs(nil), uint64(len(entries)))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	proven, err := snapshot.Prove(attestation.NewOutputID("nix", rebuild().Subjects[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	if proof, err = proven.Encode(); err == nil {
		root, err = snapshot.Root().Encode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return root, proof
}

// cosignedOf returns a witness's key and the receipt's checkpoint, cosigned.
func cosignedOf(t *testing.T, logKey string, receipt []byte) (key, cosigned string) {
	t.Helper()
	const name = "witness.example.org"
	seed := bytes.Repeat([]byte{2}, ed25519.SeedSize)
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("not an Ed25519 key")
	}
	hash := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	witness, err := ledger.ParseWitnessSigner(fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", name, hash[:4],
		base64.StdEncoding.EncodeToString(append([]byte{4}, seed...))))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		t.Fatal(err)
	}
	var r ledger.Receipt
	if err := json.Unmarshal(receipt, &r); err != nil {
		t.Fatal(err)
	}
	c, err := ledger.OpenCheckpoint([]byte(r.Checkpoint), verifier)
	if err != nil {
		t.Fatal(err)
	}
	return witness.String(), r.Checkpoint + string(witness.Cosign(c, at))
}

func keyless() *enrolment.Enrolment {
	const repository = "https://github.com/org/repo"
	rule := signing.IdentityRule{
		Issuer: "https://token.actions.githubusercontent.com", Repository: repository,
		Subject: repository + "/.github/workflows/rebuild.yml@refs/heads/main",
	}
	return &enrolment.Enrolment{
		Builder: enrolment.KeylessBuilder(rule), Operator: "org", Tier: enrolment.Counted,
		Keyless: &enrolment.Keyless{Rule: rule, TrustedRoot: sha256.Sum256([]byte("a trusted root"))},
	}
}

func rebuild() *attestation.Statement {
	const store = "/nix/store/0c7q8xqnp0zbgwp3jlirznfdlp2xrmds-"
	return &attestation.Statement{
		Type: attestation.Rebuild, Ecosystem: "nix", DigestKind: attestation.NAR,
		Subjects: []attestation.Subject{
			{Name: store + "hello-2.12.1", Digest: attestation.Digest{0xaa}},
			{Name: store + "hello-2.12.1-man", Digest: attestation.Digest{0xbb}},
		},
		Chain: attestation.Chain{
			Stream: "00112233445566778899aabbccddeeff", Sequence: 41, Previous: attestation.Digest{0x40}, Skipped: []attestation.Digest{{0x39}},
		},
		Environment: map[string]string{"nix": "2.28.3", "system": "x86_64-linux", "tz": "+01:00"},
		Builds: []attestation.Build{{
			Name: store + "hello-2.12.1.drv", Outputs: []int{0, 1}, Started: at.Add(-time.Minute), Finished: at,
			Occasion: attestation.OccasionBuild, InputsDigest: attestation.Digest{0xcc},
		}},
	}
}

func buildFailed() *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.BuildFailed, Ecosystem: "generic", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "alice/tool-1.0", Digest: attestation.Digest{0xdd}}},
		Builds: []attestation.Build{{
			Name: "alice/tool-1.0", Outputs: []int{0}, Finished: at, Occasion: attestation.OccasionRebuild, Failure: "exit status 2",
		}},
	}
}

func withdraw() *attestation.Statement {
	return &attestation.Statement{
		Type: attestation.Withdraw, Ecosystem: "debian", DigestKind: attestation.File,
		Subjects: []attestation.Subject{{Name: "hello@2.10-3/amd64^hello_2.10-3_amd64.deb", Digest: attestation.Digest{0xee}}},
		Reason:   "the disk was failing",
	}
}

// compact gives a bundle one spelling: the encoder's spaces differ between
// builds of a program.
func compact(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func indent(t *testing.T, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
