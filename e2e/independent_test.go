package e2e

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/api"
	"repronet.dev/e2e/network"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/internal/needtest"
	"repronet.dev/ledger"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// python is Debian's, for which python3-cryptography is.
const python = "/usr/bin/python3"

// script is the second implementation: independent/ has its files, and tests of them.
const script = "independent/replay.py"

// dictionary is part of the format: what entries of version 2 are read with.
const dictionary = "../ledger/statement.dictionary"

// tests of the script, which are no part of it.
var scriptTests = []string{"flips.py", "vectors.py"}

// needScript ends the test where the script cannot run.
func needScript(t *testing.T) {
	t.Helper()
	needtest.Program(t, python, "python3")
	needs := "import ctypes, cryptography.hazmat.primitives.asymmetric.ed25519; ctypes.CDLL('libzstd.so.1')"
	if out, err := exec.CommandContext(t.Context(), python, "-c", needs).CombinedOutput(); err != nil {
		needtest.Lacking(t, fmt.Sprintf("%s lacks something: install python3-cryptography and libzstd1: %s", python, out))
	}
}

// A replayed is what the script prints of a ledger.
type replayed struct {
	Entries, Decided uint64
	Verdicts         []api.ExportedVerdict
	Changes          []api.ExportedChange
	Map              outputmap.Root
	Maps             int // map roots in the ledger, all of which are right
	Sets             []struct {
		Name, Revision string
		Index, Members uint64
	}
	Builders []struct {
		ID, Operator string
		Tier         api.Tier
		RevokedFrom  *uint64
	}
	Undecided []struct {
		Ecosystem, Output, Why string
		From                   *uint64
	}
}

// runScript has the script read a log, and returns what it prints.
func runScript(t *testing.T, log, key string) *replayed {
	t.Helper()
	command := exec.CommandContext(t.Context(), python, "-B", script, log, strings.TrimSpace(key), dictionary)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	var said replayed
	if status := command.ProcessState.ExitCode(); status != 0 && status != 4 {
		t.Fatalf("the script ends with status %d: %v\n%s", status, err, &stderr)
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	for _, u := range said.Undecided {
		if u.From != nil || u.Why != "a keyless statement" {
			t.Errorf("undecided: %+v", u)
		}
	}
	return &said
}

// without takes out of lines of an export those of outputs that the script cannot decide.
func (r *replayed) without(ecosystem, output string) bool {
	for _, u := range r.Undecided {
		if u.Ecosystem == ecosystem && u.Output == output {
			return true
		}
	}
	return false
}

// compare compares with what the exports of a ledger of the same size say.
func (r *replayed) compare(t *testing.T, verdicts []api.ExportedVerdict, changes []api.ExportedChange) {
	t.Helper()
	verdicts = slices.DeleteFunc(verdicts, func(v api.ExportedVerdict) bool { return r.without(v.Ecosystem, v.Output) })
	changes = slices.DeleteFunc(changes, func(c api.ExportedChange) bool { return r.without(c.Ecosystem, c.Output) })
	if diff := cmp.Diff(verdicts, r.Verdicts); diff != "" {
		t.Errorf("verdicts (-aggregator +script):\n%s", diff)
	}
	if diff := cmp.Diff(changes, r.Changes); diff != "" {
		t.Errorf("changes (-aggregator +script):\n%s", diff)
	}
	if len(verdicts) == 0 || len(changes) == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("the script makes the same %d verdicts and %d changes of %d entries, without %d outputs that it cannot decide; %d map roots are right",
		len(verdicts), len(changes), r.Entries, len(r.Undecided), r.Maps)
}

// independently compares what the script makes of an aggregator's ledger with what the
// aggregator says: verdicts, history, sets and builders, and the map.
func independently(t *testing.T, s *server) {
	t.Helper()
	needScript(t)
	client, err := api.Dial(s.URL, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key, err := fetch(t.Context(), s.URL+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	var said *replayed
	var verdicts []api.ExportedVerdict
	var changes []api.ExportedChange
	waitUntil(t, "the script and the exports are of one state of the ledger", func() bool {
		said = runScript(t, s.URL+"/log", string(key))
		var other [2]error
		verdicts, other[0] = export[api.ExportedVerdict](t, client, api.ExportVerdictsPath, said.Entries)
		changes, other[1] = export[api.ExportedChange](t, client, api.ExportChangesPath, said.Entries)
		return other == [2]error{}
	})
	said.compare(t, verdicts, changes)

	sets, err := client.Sets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs []string
	for _, set := range said.Sets {
		ours = append(ours, fmt.Sprint(set.Name, set.Revision, set.Index, set.Members))
	}
	for _, set := range sets {
		theirs = append(theirs, fmt.Sprint(set.Name, set.Revision, set.Index, set.Members))
	}
	roster, err := client.Roster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := func(index *uint64) string {
		if index == nil {
			return "not revoked"
		}
		return fmt.Sprint("revoked from ", *index)
	}
	for _, b := range said.Builders {
		ours = append(ours, fmt.Sprint(b.ID, b.Operator, b.Tier, from(b.RevokedFrom)))
	}
	for _, b := range roster.Builders {
		theirs = append(theirs, fmt.Sprint(b.ID, b.Operator, b.Tier, from(b.RevokedFrom)))
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("sets and builders (-aggregator +script):\n%s", diff)
	}
	want := mapOf(t, client.Log(), said.Entries)
	want.Rules = said.Map.Rules
	if said.Map != want {
		t.Errorf("the script makes the map %+v, and the aggregator's program %+v", said.Map, want)
	}
}

// export reads an export of a state of the ledger. An error says that the index is in
// another state.
func export[Line any](t *testing.T, client *api.Client, path string, size uint64) (lines []Line, err error) {
	t.Helper()
	response, _, err := client.Export(t.Context(), path, &size)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text := bufio.NewScanner(response.Body)
	for text.Scan() {
		var line Line
		if err := json.Unmarshal(text.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := text.Err(); err != nil {
		t.Fatal(err)
	}
	return lines, nil
}

// mapOf computes the map of a ledger's first entries.
func mapOf(t *testing.T, log ledger.Fetcher, size uint64) outputmap.Root {
	t.Helper()
	sorter := outputmap.NewSorter(t.TempDir())
	defer sorter.Close()
	for record, err := range ledger.NewReader(log, nil).Local(size).Records(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		entry, err := record.Entry()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := outputmap.Keys(record.Index, entry)
		if err == nil {
			err = sorter.Add(record.Index, keys...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := outputmap.Sum(sorter.Pairs(nil), size)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestIndependent holds the second implementation of the formats against what each
// release wrote, and against the conformance vectors; other scenarios hold it against
// theirs (identical). With a flipped byte anywhere in a ledger's files it refuses.
func TestIndependent(t *testing.T) {
	t.Parallel()
	needScript(t)
	t.Run("size", func(t *testing.T) {
		const most = 800
		files, err := filepath.Glob("independent/*.py")
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(scriptTests, filepath.Base(file)) {
				lines += bytes.Count(text, []byte("\n"))
			}
		}
		if lines == 0 || lines > most {
			t.Errorf("the script has %d lines: at most %d are to be read by who wants to believe nobody else", lines, most)
		}
	})
	t.Run("vectors", func(t *testing.T) {
		said := runPython(t, 0, "independent/vectors.py", "../divergence/testdata/verdicts.txt")
		t.Log(said)
	})
	archives, err := filepath.Glob("testdata/release-*.tar.zst")
	if err != nil || len(archives) == 0 {
		t.Fatalf("there is no data of a release: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.zst"), func(t *testing.T) { independentRelease(t, unpack(t, archive)) })
	}
}

// independentRelease reads the ledger that a release wrote, as it was and damaged.
func independentRelease(t *testing.T, dir string) {
	var expected map[string]string
	var pinned struct{ LogKey string }
	for name, into := range map[string]any{"expected.json": &expected, "verify/pins.json": &pinned} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "aggregator", "ledger")
	said := runScript(t, log, pinned.LogKey)
	said.compare(t, published[api.ExportedVerdict](t, expected["/api/v1/export/verdicts"]), published[api.ExportedChange](t, expected["/api/v1/export/changes"]))
	if len(said.Undecided) != 1 || said.Maps == 0 {
		t.Errorf("%d outputs are undecided, and there are %d map roots", len(said.Undecided), said.Maps)
	}
	var root outputmap.Root
	if err := json.Unmarshal([]byte(expected["map root"]), &root); err != nil || root != said.Map {
		t.Errorf("the release makes the map %+v, the script %+v (%v)", root, said.Map, err)
	}
	t.Log(runPython(t, 0, "independent/flips.py", log, pinned.LogKey))

	// The same with the program itself, on disk.
	file := filepath.Join(log, "tile", "entries", "000.p", fmt.Sprint(said.Entries))
	bundle, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bundle[len(bundle)/2] ^= 1
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	if text := runPython(t, 3, script, log, pinned.LogKey, dictionary); !strings.Contains(text, "tile/entries/000.p/"+fmt.Sprint(said.Entries)+": ") {
		t.Errorf("of a flipped byte in %s it says: %s", file, text)
	}
}

// published reads the lines of an export as package answers keeps them: after the status.
func published[Line any](t *testing.T, answer string) (lines []Line) {
	t.Helper()
	_, text, _ := strings.Cut(answer, "\n")
	for one := range strings.Lines(text) {
		var line Line
		if err := json.Unmarshal([]byte(one), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// runPython runs a program, which has to end with a status, and returns what it says.
func runPython(t *testing.T, status int, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), python, append([]string{"-B"}, args...)...)
	out, err := command.CombinedOutput()
	if got := command.ProcessState.ExitCode(); got != status {
		t.Fatalf("%v ends with status %d, want %d: %v\n%s", args, got, status, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestIndependentEveryKind holds the second implementation against a ledger with every
// kind of entry, in each encoding, by both versions of the rules.
func TestIndependentEveryKind(t *testing.T) {
	t.Parallel()
	needScript(t)
	config := filepath.Join(t.TempDir(), "aggregator.yaml")
	write(t, config, "map_interval: 1s\n")
	m := &releaseMaker{t: t, home: t.TempDir()}
	m.s = startAggregator(t, "--origin", "every.example/ledger", "--config", config)
	m.volunteers()
	m.sets()
	m.thirdParties()
	m.keyless()
	made, gitian := guixsigstest.MakeSums(t, time.Now().Add(-time.Hour)), guixsigstest.MakeGitian(t, time.Now().Add(-time.Hour))
	m.s.admin(t, "builders import-openpgp", "--project", "demo", made.Dir)
	m.s.admin(t, "builders import-openpgp", "--project", "gitian", gitian.Dir)
	relay(t, m.s, 1, "guix-sigs", "--project", "demo", made.Dir)
	relay(t, m.s, 1, "gitian", "--project", "gitian", gitian.Dir)
	m.addressed()
	m.provenByName()
	m.endings()

	encodings, kinds := map[byte]bool{}, map[ledger.Kind]bool{}
	size := indexed(t, m.s.URL).LedgerSize
	for record, err := range ledger.NewReader(ledger.Dir(filepath.Join(m.s.Data, "ledger")), nil).Local(size).Records(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		encodings[record.Data[0]], kinds[record.Kind()] = true, true
	}
	for _, kind := range append(reading.Kinds(), ledger.Attestation, ledger.Addressed, ledger.Enrolment, ledger.Revocation, ledger.PackageSet, ledger.MapRoot, ledger.Erased, ledger.Rules) {
		if !kinds[kind] {
			t.Errorf("the ledger has no entry of kind %s", kind)
		}
	}
	if len(encodings) != ledger.NewestVersion {
		t.Errorf("the ledger has the encodings %v", encodings)
	}
	independently(t, m.s)

	key, err := fetch(t.Context(), m.s.URL+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.s.Stop(); err != nil { // so that no file is written meanwhile
		t.Fatal(err)
	}
	t.Log(runPython(t, 0, "independent/flips.py", filepath.Join(m.s.Data, "ledger"), strings.TrimSpace(string(key))))
}

// addressed has a volunteer claim for this ledger alone.
func (m *releaseMaker) addressed() {
	r, err := network.NewReporter(m.t.Context(), m.s.Aggregator, filepath.Join(m.t.TempDir(), "ivy"), "ivy", m.s.URL, "--report", "all", "--audience", "ledger")
	if err != nil {
		m.t.Fatal(err)
	}
	ivy := &volunteer{m.t, r.Dir}
	ivy.attest("agreed", "agreed")
	ivy.attest("scatter", "ivy's own")
	ivy.run(0, "run", "--once")
}

// provenByName brings the narinfo of a path whose name follows from what it holds, as Nix
// 2.8 adds a directory: it counts for nobody by the rules that it begins.
func (m *releaseMaker) provenByName() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	text := "StorePath: /nix/store/qakfbqxjli75b8j3cfhr650a7pc7famr-plain-source\n" +
		"NarHash: sha256:128rg0brhgszpchn2a17nf4lsll6q8cs21xwczjhrr51cxf0ambq\nNarSize: 128\nReferences: \n"
	info, err := narinfo.Parse([]byte(text))
	if err != nil {
		m.t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	m.s.admin(m.t, "builders enrol", "--operator", "sources", "--nix-key", "sources-1:"+encode(public))
	dir := m.t.TempDir()
	write(m.t, filepath.Join(dir, "source.narinfo"), text+"Sig: sources-1:"+encode(ed25519.Sign(private, info.Fingerprint()))+"\n")
	relay(m.t, m.s, 0, "narinfo", dir)
}
