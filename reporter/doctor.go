package reporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"repronet.dev/api"
	"repronet.dev/reporter/collect"
	"repronet.dev/reporter/spool"
)

// A Condition is how something stands.
type Condition string

// The conditions. Of what is Wrong, builds are lost or not told of; what is Odd may be meant.
const (
	Well  Condition = "ok"
	Odd   Condition = "odd"
	Wrong Condition = "wrong"
)

// A Finding is what a look at one part of an installation came to.
type Finding struct {
	Part      string    `json:"part"`
	Condition Condition `json:"condition"`
	Says      string    `json:"says"`
	Do        string    `json:"do,omitempty"` // what mends it
}

// An Examination is a look at an installation and what it depends on.
type Examination struct {
	Home       Home
	HookFile   string   // of the script for Nix
	NixConfigs []string // files of Nix's settings
	Now        func() time.Time

	findings []Finding
}

func (e *Examination) find(part string, c Condition, do, says string, args ...any) {
	e.findings = append(e.findings, Finding{part, c, fmt.Sprintf(says, args...), do})
}

// Run looks at everything. It writes nothing but a file that it deletes again.
func (e *Examination) Run(ctx context.Context) []Finding {
	if err := e.Home.CheckOwner(); err != nil {
		e.find("directory", Wrong, "call this as the directory's owner, or with another --dir", "%v", err)
		return e.findings
	}
	config, err := e.Home.Config()
	if err != nil {
		e.find("directory", Wrong, "repronet-reporter init --aggregator URL", "%v", err)
		return e.findings
	}
	e.find("directory", Well, "", "%s reports to %s", e.Home, config.Aggregator)
	e.key(config)
	e.spool()
	e.hook()
	e.aggregator(ctx, config)
	return e.findings
}

func (e *Examination) key(config *Config) {
	if config.Keyless() {
		e.find("key", Well, "", "none: it signs by the identity of who runs it")
		return
	}
	signer, err := e.Home.Signer(config)
	if err == nil {
		err = signer.Close()
	}
	if err != nil {
		e.find("key", Wrong, "bring the key back from a backup, or begin anew: repronet-reporter init --dir ANOTHER", "%v", err)
		return
	}
	e.find("key", Well, "", "builder %s", config.Builder)
}

// lowSpace is how little free space is worth a word, in bytes.
const lowSpace = 64 << 20

func (e *Examination) spool() {
	dir := e.Home.path(spoolDir)
	probe, err := os.CreateTemp(filepath.Join(dir, "queue"), ".doctor-")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		e.find("spool", Wrong, "make room, or mend the directory's rights: nothing is recorded meanwhile", "cannot be written: %v", err)
		return
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err == nil && s.Bavail*uint64(s.Bsize) < lowSpace { //nolint:unconvert // the types differ between systems
		e.find("spool", Odd, "make room", "%d MiB are free on its file system", s.Bavail*uint64(s.Bsize)>>20) //nolint:unconvert // likewise
	}
	status, err := e.Home.Spool().Status()
	if err != nil {
		e.find("spool", Wrong, "", "%v", err)
		return
	}
	e.delivery(status)
	if n := len(status.Refused); n > 0 {
		e.find("spool", Wrong, "see 'repronet-reporter status', and once the reason is gone: repronet-reporter requeue", "%d statements were refused, the last since: %s", n, status.Refused[n-1].Reason)
	}
	if n := len(status.Corrupt); n > 0 {
		e.find("spool", Wrong, "look at the disk; what was in these files is not sent", "%d files could not be read and are in spool/corrupt", n)
	}
	if n := len(status.Convictions); n > 0 {
		e.find("spool", Wrong, "see docs/checking.md: tell the others", "the aggregator signed two histories of its ledger: spool/convictions has %d proofs", n)
	}
	if n := len(status.Problems); n > 0 {
		last := status.Problems[n-1]
		e.find("spool", Odd, "see 'repronet-reporter status'", "%d problems were noted, the last in %s at %s: %s", n, last.In, last.At.Format(time.RFC3339), last.Message)
	}
}

// silent is how long after the last attempt to deliver nothing seems to deliver any more.
const silent = 2 * time.Hour

func (e *Examination) delivery(status *spool.Status) {
	const do = "start the service that 'repronet-reporter init' prints, or: repronet-reporter run"
	waiting := status.Waiting + status.Outbox
	switch c := status.Contact; {
	case c == nil && waiting > 0:
		e.find("delivery", Wrong, do, "%d records and statements wait, and 'run' was never called", waiting)
	case c == nil:
		e.find("delivery", Odd, do, "nothing was recorded, and 'run' was never called")
	case waiting > 0 && e.Now().Sub(c.At) > silent:
		e.find("delivery", Wrong, do, "%d records and statements wait, and the last attempt to deliver was at %s", waiting, c.At.Format(time.RFC3339))
	case c.Error != "":
		e.find("delivery", Odd, "it is tried again; see the other findings", "%d records and statements wait; the last attempt at %s: %s", waiting, c.At.Format(time.RFC3339), c.Error)
	default:
		e.find("delivery", Well, "", "%d statements acknowledged, %d records and statements wait", status.Acknowledged.Statements, waiting)
	}
}

// hook looks at the script for Nix and at the settings that name it.
func (e *Examination) hook() {
	const part, install = "hook", "repronet-reporter hook install, as root"
	named := ""
	for _, file := range e.NixConfigs {
		in, err := collect.Assigned(file, "post-build-hook", e.HookFile)
		if err != nil {
			e.find(part, Odd, "", "%v", err)
		}
		if named == "" {
			named = in
		}
	}
	script, err := os.ReadFile(e.HookFile)
	_, noNix := exec.LookPath("nix")
	switch {
	case errors.Is(err, fs.ErrNotExist) && named != "":
		e.find(part, Wrong, install+", or take the line out: Nix fails each build meanwhile", "%s names %s, which is not there", named, e.HookFile)
	case errors.Is(err, fs.ErrNotExist) && noNix != nil:
		e.find(part, Well, "", "Nix is not installed: builds are recorded by 'attest', 'exec' and 'collect'")
	case errors.Is(err, fs.ErrNotExist):
		e.find(part, Odd, install, "no hook is installed: builds of Nix are not recorded by themselves")
	case err != nil:
		e.find(part, Odd, "", "%v", err)
	case !strings.Contains(string(script), hookMark):
		e.find(part, Odd, "see 'repronet-reporter hook install --help'", "%s is no script of this program", e.HookFile)
	case !strings.Contains(string(script), "hook nix"):
		e.find(part, Odd, install, "%s does nothing: it was uninstalled", e.HookFile)
	case named == "":
		e.find(part, Odd, "add to nix.conf, and restart the daemon: post-build-hook = "+e.HookFile, "the hook is installed, and no setting of Nix names it")
	default:
		e.script(named, string(script))
	}
}

// script looks at what the installed script calls, and for whom.
func (e *Examination) script(named, script string) {
	const part, install = "hook", "repronet-reporter hook install, as root"
	program := ""
	for line := range strings.Lines(script) {
		if rest, found := strings.CutPrefix(line, "if [ -x '"); found {
			program, _, _ = strings.Cut(rest, "' ]; then")
		}
	}
	if info, err := os.Stat(program); err != nil || info.Mode()&0o111 == 0 {
		e.find(part, Wrong, install, "the hook calls %s, which cannot be executed: builds are not recorded", program)
		return
	}
	if dir, err := filepath.Abs(string(e.Home)); err == nil && !strings.Contains(script, quote(dir)) {
		e.find(part, Odd, install+", with --dir "+dir, "the hook records for another directory than this")
		return
	}
	e.find(part, Well, "", "%s names it", named)
}

// clockApart is how far the aggregator's clock may be from this machine's: statements that
// seem to be made further ahead are not taken.
const clockApart = 5 * time.Minute

func (e *Examination) aggregator(ctx context.Context, config *Config) {
	client, err := api.Dial(config.Aggregator, requestTimeout)
	if err != nil {
		e.find("aggregator", Wrong, "repronet-reporter init --aggregator URL", "%v", err)
		return
	}
	defer client.Close()
	response, err := client.Open(ctx, api.LogKeyPath, nil)
	if err != nil {
		e.find("aggregator", Wrong, "look at the network, or at the aggregator's /status; what is recorded waits", "%v", err)
		return
	}
	response.Body.Close()
	e.clock(response)
	if !e.logKey(ctx, client) {
		return
	}
	e.enrolled(ctx, config)
	e.sets(ctx, client, config)
}

func (e *Examination) clock(response *http.Response) {
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return // not every way to an aggregator has it
	}
	if apart := theirs.Sub(e.Now()); apart.Abs() > clockApart {
		e.find("clock", Wrong, "set the clock that is wrong; what is refused for it is sent again", "this machine's and the aggregator's are %s apart", apart.Round(time.Second))
		return
	}
	e.find("clock", Well, "", "as the aggregator's")
}

func (e *Examination) logKey(ctx context.Context, client *api.Client) bool {
	pinned, err := e.Home.LogKey()
	if err != nil {
		e.find("log key", Wrong, "bring log.key back, or delete it to trust the aggregator anew", "%v", err)
		return false
	}
	text, err := client.LogKey(ctx)
	switch {
	case err != nil:
		e.find("log key", Wrong, "", "%v", err)
		return false
	case pinned == nil:
		e.find("log key", Odd, "the first 'run' or 'enrol' pins it", "none is pinned yet")
	default:
		own, readErr := os.ReadFile(e.Home.path(logKeyFile))
		if readErr != nil || strings.TrimSpace(text) != strings.TrimSpace(string(own)) {
			e.find("log key", Wrong, "ask who runs the aggregator, by another way, whether the log was begun anew; if so, delete log.key", "the aggregator shows another key than the one that was pinned for %s", pinned.Name())
			return false
		}
		e.find("log key", Well, "", "%s, as pinned", pinned.Name())
	}
	return true
}

func (e *Examination) enrolled(ctx context.Context, config *Config) {
	if config.Keyless() {
		return
	}
	const ask = "repronet-reporter enrol"
	if pinned, err := e.Home.LogKey(); err != nil || pinned == nil {
		e.find("enrolment", Odd, ask, "not asked for")
		return
	}
	desk, err := e.Home.NewDesk(ctx)
	if err != nil {
		e.find("enrolment", Wrong, "", "%v", err)
		return
	}
	defer desk.Close()
	answer, err := desk.State(ctx)
	problem, isProblem := errors.AsType[*api.Problem](err)
	switch {
	case isProblem && problem.Status == http.StatusNotFound:
		e.find("enrolment", Wrong, ask, "the aggregator does not know this builder: what is recorded waits")
	case err != nil:
		e.find("enrolment", Wrong, "", "%v", err)
	case answer.State == api.Enrolled:
		e.find("enrolment", Well, "", "enrolled as %s, tier %s", answer.Operator, answer.Tier)
	case answer.State == api.Pending:
		e.find("enrolment", Odd, "wait: a person there decides", "the request waits for a decision")
	default:
		e.find("enrolment", Wrong, ask, "%s: %s", answer.State, answer.Next)
	}
}

func (e *Examination) sets(ctx context.Context, client *api.Client, config *Config) {
	if config.Report == ReportAll {
		e.find("package sets", Well, "", "everything that is recorded is reported")
		return
	}
	published, err := client.Sets(ctx)
	if err != nil {
		e.find("package sets", Odd, "", "%v", err)
		return
	}
	for _, name := range config.Sets {
		if !slices.ContainsFunc(published, func(s api.Set) bool { return s.Name == name }) {
			e.find("package sets", Odd, "choose another: repronet-reporter init --sets NAME", "the aggregator publishes no set %s: nothing of it is reported", name)
			return
		}
	}
	e.find("package sets", Well, "", "%s", strings.Join(config.Sets, ", "))
}
