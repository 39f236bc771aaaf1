package e2e

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/internal/needtest"
)

// A pageCommand is a command that a page shows, with what the page is about.
type pageCommand struct {
	page string // URL path
	says string
	line string
	// outputs are those of the page's build.
	outputs []dashboard.Output
}

var (
	commandPattern   = regexp.MustCompile(`(?s)<div class="command"><p>(.*?)</p><pre[^>]*>(.*?)</pre></div>`)
	anchorPattern    = regexp.MustCompile(`<a [^>]*href="([^"]*)"`)
	alternatePattern = regexp.MustCompile(`<link rel="alternate" type="application/json" href="([^"]*)">`)
)

// commandsOfPages follows the links of the pages, from the given ones on, and returns each
// page's commands.
func commandsOfPages(t *testing.T, base string, from ...string) (commands []pageCommand, pages int) {
	t.Helper()
	seen, forms := map[string]bool{}, map[string]int{}
	queue := append([]string{"/"}, from...)
	for len(queue) > 0 {
		page := queue[0]
		queue = queue[1:]
		if seen[page] || strings.HasPrefix(page, "/api/") || strings.HasPrefix(page, "/log/") || strings.HasPrefix(page, "/static/") {
			continue
		}
		seen[page] = true
		text, is := fetchPage(t, base, page)
		if is != page && seen[is] {
			continue // a search that leads to a page
		}
		page = is
		seen[page] = true
		pages++
		for _, m := range anchorPattern.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(html.UnescapeString(m[1]), "#")
			if form := formOf(target); strings.HasPrefix(target, "/") && !seen[target] && forms[form] < sameForm {
				queue = append(queue, target)
				if form != "" {
					forms[form]++
				}
			}
		}
		var outputs []dashboard.Output
		if strings.HasPrefix(page, "/builds/") {
			outputs = outputsOfPage(t, base, text)
		}
		for _, m := range commandPattern.FindAllStringSubmatch(text, -1) {
			commands = append(commands, pageCommand{page, html.UnescapeString(m[1]), html.UnescapeString(m[2]), outputs})
		}
	}
	return commands, pages
}

// sameForm is how many pages of one form are followed: a list sorted and filtered in the same
// ways has the same links, with other values.
const sameForm = 6

// formOf is a link's path with the names of its parameters, "" of a link without any.
func formOf(target string) string {
	path, query, ok := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if !ok || err != nil {
		return ""
	}
	return path + "?" + strings.Join(slices.Sorted(maps.Keys(values)), "&")
}

// fetchPage returns a page and where it is in the end.
func fetchPage(t *testing.T, base, page string) (text, is string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+page, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("a link on a page, %s: %s (%v)", page, response.Status, err)
	}
	return string(body), response.Request.URL.RequestURI()
}

// outputsOfPage reads the document that a build's page is made of.
func outputsOfPage(t *testing.T, base, text string) []dashboard.Output {
	t.Helper()
	m := alternatePattern.FindStringSubmatch(text)
	if m == nil {
		t.Fatal("a build's page names no document")
	}
	body, err := fetch(t.Context(), base+html.UnescapeString(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	var build dashboard.Build
	if err := json.Unmarshal(body, &build); err != nil {
		t.Fatal(err)
	}
	if len(build.Outputs) == 0 && strings.HasPrefix(html.UnescapeString(m[1]), api.OutputsPath) {
		var output dashboard.Output
		if err := json.Unmarshal(body, &output); err != nil {
			t.Fatal(err)
		}
		build.Outputs = []dashboard.Output{output}
	}
	return build.Outputs
}

// testCommands runs each command of each page as it is printed there, for a person who has
// the programs and an enrolled builder, and looks at what that did: it has to be about the
// outputs of that page.
func (b *builds) testCommands(t *testing.T) {
	c := &commandWorld{builds: b, proxy: t.TempDir()}
	b.newReporter(t, "dora")
	if err := b.reporters["dora"].Init(t.Context(), "--report", "all"); err != nil {
		t.Fatal(err)
	}
	c.attestOthers(t)
	c.relayRelease(t)
	indexed(t, b.URL)
	var searched []string
	for _, text := range []string{"carol", "demo", "repronet.example", "hello"} {
		searched = append(searched, "/search?q="+text)
	}
	commands, pages := commandsOfPages(t, b.URL, append(searched, c.pages...)...)
	t.Logf("%d commands on %d pages", len(commands), pages)
	commands = withoutPackages(t, commands)
	kinds := map[string]int{}
	for i, command := range commands {
		kind := c.kind(command.line)
		kinds[kind]++
		t.Run(fmt.Sprintf("%s-%d", kind, i), func(t *testing.T) { c.run(t, kind, command) })
	}
	want := []string{"curl", "exec", "go", "output", "pin"}
	if b.set != "" {
		want = append(want, "check", "attest")
	}
	for _, kind := range want {
		if kinds[kind] == 0 {
			t.Errorf("no page shows a command of kind %s", kind)
		}
	}
}

// withoutPackages leaves out the commands of packages' pages, each of which has to be on the page
// of a build, too: it is run for that.
func withoutPackages(t *testing.T, commands []pageCommand) []pageCommand {
	t.Helper()
	ofPackage := func(c pageCommand) bool { return strings.HasPrefix(c.page, dashboard.PackagesPath+"/") }
	others := slices.DeleteFunc(slices.Clone(commands), ofPackage)
	for _, c := range commands {
		if ofPackage(c) && !slices.ContainsFunc(others, func(other pageCommand) bool { return other.line == c.line }) {
			t.Errorf("%s: no build's page has its command:\n%s\n%s", c.page, c.says, c.line)
		}
	}
	if len(others) == len(commands) {
		t.Error("no page of a package has commands")
	}
	return others
}

// A commandWorld is the network in which pages' commands are run.
type commandWorld struct {
	*builds
	proxy string   // directory of a Go module proxy
	pages []string // of builds, besides those that a search finds
	// pinned is the shell of whom has pinned the builders.
	pinned *shell
}

// kind tells commands apart by how they begin.
func (*commandWorld) kind(line string) string {
	for kind, begins := range map[string]string{
		"curl": "curl -s ", "pin": "repronet-verify pin ", "output": "repronet-verify output ", "exec": "repronet-reporter exec ",
		"check": "nix-build ", "attest": "repronet-reporter attest ",
	} {
		if strings.HasPrefix(line, begins) {
			return kind
		}
	}
	if strings.Contains(line, " go install ") {
		return "go"
	}
	return "unknown"
}

// tool is a Go program that a proxy has.
const toolModule, toolVersion = "repronet.example/tool", "v1.2.3"

// attestOthers has carol attest builds of every ecosystem that pages show commands for.
func (c *commandWorld) attestOthers(t *testing.T) {
	dir := t.TempDir()
	carol := c.reporters["carol"]
	tool := filepath.Join(dir, "tool")
	c.serveModule(t)
	s := newShell(t, c.goEnvironment()...)
	if r := s.run(t, "GOBIN="+dir+" CGO_ENABLED=0 go install -trimpath "+toolModule+"@"+toolVersion); r.status != 0 {
		t.Fatalf("go install: %s", r.said())
	}
	write(t, filepath.Join(dir, "made"), "what came out\n")
	for _, of := range []struct{ ecosystem, build, output, path string }{
		{"go", toolModule + "@" + toolVersion, "tool", tool},
		{"generic", "carol/tool-1.0", "bin", "made"},
		{"debian", "hello@2.10-3/amd64", "hello_2.10-3_amd64.deb", "made"},
		{"arch", "hello@2.12.1-1/x86_64", "hello-2.12.1-1-x86_64.pkg.tar.zst", "made"},
		{"release", "carol-tools", "tool (x64).zip", "made"},
	} {
		if err := carol.Attest(t.Context(), "--ecosystem", of.ecosystem, "--build", of.build, "--output", of.output+"="+filepath.Join(dir, filepath.Base(of.path))); err != nil {
			t.Fatal(err)
		}
		c.pages = append(c.pages, buildPath(of.build))
	}
	if err := carol.Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// buildPath is where the page of a build is.
func buildPath(name string) string {
	return (&url.URL{Path: "/builds/" + strings.TrimPrefix(name, "/")}).EscapedPath()
}

// relayRelease relays a project's checksums: files of which nothing says how they were
// made.
func (c *commandWorld) relayRelease(t *testing.T) {
	made := guixsigstest.MakeSums(t, time.Now().Add(-time.Hour))
	if _, err := c.Command(t.Context(), "builders import-openpgp", "--project", "demo", "--keys", made.Keys, made.Dir); err != nil {
		t.Fatal(err)
	}
	relay(t, c.server, 1, "guix-sigs", "--project", "demo", made.Dir)
	for _, name := range made.Names[:min(len(made.Names), 6)] {
		c.pages = append(c.pages, buildPath("demo/"+name))
	}
}

// serveModule writes a module as a proxy has it (https://go.dev/ref/mod#goproxy-protocol).
func (c *commandWorld) serveModule(t *testing.T) {
	t.Helper()
	mod := "module " + toolModule + "\n\ngo 1.26\n"
	dir := filepath.Join(c.proxy, toolModule, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "list"), toolVersion+"\n")
	write(t, filepath.Join(dir, toolVersion+".info"), `{"Version":"`+toolVersion+`"}`)
	write(t, filepath.Join(dir, toolVersion+".mod"), mod)
	file, err := os.Create(filepath.Join(dir, toolVersion+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for name, text := range map[string]string{"go.mod": mod, "main.go": "package main\n\nfunc main() { println(\"made\") }\n"} {
		w, err := archive.Create(toolModule + "@" + toolVersion + "/" + name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
}

// goEnvironment has Go's commands ask the proxy alone, and share the caches of the machine.
func (c *commandWorld) goEnvironment() []string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return []string{"GOPROXY=file://" + c.proxy, "GONOSUMDB=*", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOCACHE=" + filepath.Join(cache, "go-build"), "GOWORK=off"}
}

func (c *commandWorld) run(t *testing.T, kind string, command pageCommand) {
	t.Logf("%s\n%s\n%s", command.page, command.says, command.line)
	switch kind {
	case "curl":
		r := newShell(t).run(t, command.line)
		if r.status != 0 || !json.Valid([]byte(r.stdout)) || strings.Contains(r.stdout, "/docs/problems#") {
			t.Errorf("status %d: %s", r.status, r.said())
		}
	case "pin":
		c.pin(t, command)
	case "output":
		c.output(t, command)
	case "exec":
		c.exec(t, command)
	case "go":
		c.goInstall(t, command)
	case "check":
		c.nixRebuild(t, command)
	case "attest":
		c.nixAttest(t, command)
	default:
		t.Errorf("nothing is known of this command")
	}
}

// pin pins the builders, which asks. The first who did checks everything else.
func (c *commandWorld) pin(t *testing.T, command pageCommand) {
	if c.pinned != nil {
		if !strings.Contains(command.line, c.URL) {
			t.Errorf("another aggregator is named")
		}
		return
	}
	s := newShell(t)
	s.dir = c.proxy // outlives this
	s.terminal = true
	if r := s.run(t, command.line); r.status != 0 || !strings.Contains(r.said(), "pinned in") || !strings.Contains(r.said(), "carol") {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	s.terminal = false
	c.pinned = s
}

// output checks an output of the page, and comes to its verdict.
func (c *commandWorld) output(t *testing.T, command pageCommand) {
	if c.pinned == nil {
		t.Fatal("the page says to check before it says to pin")
	}
	r := c.pinned.run(t, command.line+" --json")
	var answer struct{ Output, Verdict, Decision string }
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	i := slices.IndexFunc(command.outputs, func(o dashboard.Output) bool { return o.Key == answer.Output })
	if i < 0 {
		t.Fatalf("it is about %q", answer.Output)
	}
	now := getOutput(t, c.URL, answer.Output)
	// repronet-verify help output: 0 reproduced, 1 diverged, 2 too few operators.
	want := map[api.Verdict]int{api.Reproduced: 0, api.Diverged: 1, api.Single: 2, api.Unbuilt: 2}[now.Verdict]
	if r.status != want {
		t.Errorf("status %d, and the page says %s: %s", r.status, now.Verdict, r.said())
	}
	if plain := c.pinned.run(t, command.line); plain.status != r.status || !strings.Contains(plain.stdout, answer.Output) {
		t.Errorf("as printed: status %d: %s", plain.status, plain.said())
	}
}

// claimsOf counts an operator's claims on outputs, by key.
func (c *commandWorld) claimsOf(t *testing.T, operator string, outputs []dashboard.Output) map[string]int {
	t.Helper()
	claims := map[string]int{}
	for _, o := range outputs {
		for _, claim := range getOutput(t, c.URL, o.Key).Claims {
			if claim.Operator == operator {
				claims[o.Key]++
			}
		}
	}
	return claims
}

// reported submits what dora recorded, which has to be claims on some outputs of the page
// and nothing else.
func (c *commandWorld) reported(t *testing.T, command pageCommand, before map[string]int, keys ...string) {
	t.Helper()
	summary := indexed(t, c.URL)
	if err := c.reporters["dora"].Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := indexed(t, c.URL)
	if got := after.Observations - summary.Observations; got != uint64(len(keys)) {
		t.Errorf("%d digests were claimed, want %d", got, len(keys))
	}
	now := c.claimsOf(t, "dora", command.outputs)
	for _, key := range keys {
		if now[key] != before[key]+1 {
			t.Errorf("dora has %d claims on %s, and had %d", now[key], key, before[key])
		}
	}
}

// dora is the shell of a person with an enrolled builder.
func (c *commandWorld) dora(t *testing.T) *shell {
	t.Helper()
	return newShell(t, "REPRONET_REPORTER_DIR="+c.reporters["dora"].Dir)
}

var pathPattern = regexp.MustCompile(`=PATH\b`)

// exec makes something up and has it attested: the one thing that a page cannot know is how
// a person's build is called and where its results are.
func (c *commandWorld) exec(t *testing.T, command pageCommand) {
	s := c.dora(t)
	before := c.claimsOf(t, "dora", command.outputs)
	line := pathPattern.ReplaceAllString(command.line, "=./made")
	line = strings.Replace(line, "YOUR BUILD COMMAND", "sh -c 'echo what came out > made'", 1)
	if line == command.line || strings.Contains(line, "YOUR") {
		t.Fatal("nothing is left to the reader")
	}
	r := s.run(t, line)
	if r.status != 0 {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	var keys []string
	for _, o := range command.outputs {
		if strings.Contains(r.stdout, "  "+o.Key+"\n") {
			keys = append(keys, o.Key)
		}
	}
	if len(keys) != strings.Count(r.stdout, "\n") || len(keys) == 0 {
		t.Fatalf("it attests other outputs than the page's:\n%s", r.stdout)
	}
	c.reported(t, command, before, keys...)
}

// goInstall builds a program, which comes out as it is claimed.
func (c *commandWorld) goInstall(t *testing.T, command pageCommand) {
	if !strings.Contains(command.line, toolModule+"@") {
		needtest.Lacking(t, "NO NIX: the Go programs that were built instead are in no module proxy")
	}
	s := newShell(t, c.goEnvironment()...)
	if r := s.run(t, command.line); r.status != 0 {
		t.Fatalf("status %d: %s", r.status, r.said())
	}
	found, err := filepath.Glob(filepath.Join(s.dir, "tmp.*", "tool"))
	if err != nil || len(found) != 1 {
		t.Fatalf("what was built is at %q (%v)", found, err)
	}
	program, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	if digest := "sha256:" + hex.EncodeToString(sum[:]); len(command.outputs) != 1 || command.outputs[0].Claims[0].Digest != digest {
		t.Errorf("it came out as %s, the page has %+v", digest, command.outputs)
	}
}
