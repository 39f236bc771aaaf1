package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/e2e/network"
	"repronet.dev/internal/chdb/chdbtest"
)

// TestBuilds has three builders build a package set, really, and report it; what
// follows looks at what became of that from all sides.
func TestBuilds(t *testing.T) {
	t.Parallel()
	chdbtest.Library(t)
	b := &builds{
		server: startAggregator(t, append(chdbtest.Settings(t, "builds"), "--libp2p", "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1")...),
		dir:    t.TempDir(), reporters: map[string]*network.Reporter{}, expected: map[string]expectation{},
	}
	if network.HasNix() {
		b.buildNix(t)
	} else {
		b.buildGo(t)
	}
	b.attestFailure(t)
	indexed(t, b.URL)
	t.Run("nix", b.testNix)
	t.Run("verdicts", b.testVerdicts)
	t.Run("failure", b.testFailure)
	t.Run("manifests", b.testManifests)
	t.Run("evidence", b.testEvidence)
	t.Run("pages", b.testPages)
	t.Run("verify", b.testVerify)
	t.Run("lies", b.testLies)
	t.Run("replay", b.testReplay)
	t.Run("reindex", func(t *testing.T) { testReindex(t, b.server, 1, 7, 10_000) })
	t.Run("commands", b.testCommands) // last: it reports more
}

// builds is a network of one aggregator and three builders who built everything
// once.
type builds struct {
	*server
	dir       string
	reporters map[string]*network.Reporter // by operator
	set       string                       // name of the package set, or ""
	fixed     []string                     // keys of outputs whose hashes the recipes fix
	private   string                       // key of an output that alice built and that is in no set
	expected  map[string]expectation       // by output key
}

// An expectation is what the API has to say of an output that three builders
// built.
type expectation struct {
	name    string // attribute and output
	verdict string
	cause   string
}

// operators are those of the three builders; each submits in another way.
var operators = []string{"alice", "bob", "carol"}

// newReporter prepares an operator's reporter. Carol's reports everything.
func (b *builds) newReporter(t *testing.T, operator string) {
	t.Helper()
	report := []string{"--report", "all"}
	if b.set != "" && operator != "carol" {
		report = []string{"--sets", b.set}
	}
	way := map[string]string{"alice": "http://", "bob": "/quic-v1/", "carol": "/tcp/"}[operator]
	r, err := network.NewReporter(t.Context(), b.Aggregator, filepath.Join(b.dir, operator, "reporter"), operator, b.address(t, way), report...)
	if err != nil {
		t.Fatal(err)
	}
	b.reporters[operator] = r
}

// buildGo builds the Go programs in three directories.
func (b *builds) buildGo(t *testing.T) {
	log := messages(t, "the builds")
	for _, operator := range operators {
		b.newReporter(t, operator)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for operator, r := range b.reporters {
		group.Go(func() error {
			for _, program := range network.GoPrograms() {
				if err := r.BuildGo(ctx, program, filepath.Join(b.dir, operator, "src"), time.Now().Format(time.RFC3339Nano), log); err != nil {
					return err
				}
			}
			return r.Submit(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, program := range network.GoPrograms() {
		e := expectation{program.Name, "diverged", "unknown"}
		if program.Reproducible {
			e.verdict, e.cause = "reproduced", ""
		}
		b.expected["repronet.example/"+program.Name+"@v1.0.0^linux-amd64"] = e
	}
}

// failedBuild is a build that nobody can make.
const failedBuild = "carol/broken-1.0"

// attestFailure has carol try a build that fails.
func (b *builds) attestFailure(t *testing.T) {
	r := b.reporters["carol"]
	command := r.Exec(t.Context(), "--build", failedBuild, "--output", "bin="+filepath.Join(b.dir, "broken"), "--", "sh", "-c", "exit 3")
	if err := command.Run(); command.ProcessState.ExitCode() != 3 {
		t.Errorf("exec of a build that exits with 3: %v", err)
	}
	if err := r.Submit(t.Context()); err != nil {
		t.Error(err)
	}
}
